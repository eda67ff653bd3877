//! Consent before something is done that takes access away or gives it back.

use std::io::IsTerminal as _;

use bwdc_core::error::{Error, Exit, Result};

use super::Interaction;
use crate::ui::{self, Style};

/// Who decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judge {
    /// Whoever typed `--yes`.
    Decided,
    /// Somebody at a terminal.
    Asked,
    Nobody,
}

/// What is asked, and what is said where it is not done.
pub(super) struct Question<'a> {
    pub(super) question: &'a str,
    /// What it asks for, as in "Asking for approval".
    pub(super) what: &'a str,
    /// What is said to whoever answers no.
    pub(super) refused: &'a str,
    /// What is said where nobody can be asked.
    pub(super) nobody_to_ask: &'a str,
    /// Next step where nobody can be asked.
    pub(super) next_step: &'a str,
}

impl Judge {
    /// `yes` is the option `--yes`.
    pub(super) fn of(yes: bool, interaction: Interaction, style: Style) -> Self {
        let can_ask = interaction == Interaction::Terminal
            && !style.response
            && !style.quiet
            && std::io::stdin().is_terminal();
        match (yes, can_ask) {
            (true, _) => Self::Decided,
            (false, true) => Self::Asked,
            (false, false) => Self::Nobody,
        }
    }

    /// Returns if it may be done.
    ///
    /// # Errors
    /// It may not, or nobody can be asked.
    pub(super) fn decide(self, asked: &Question<'_>) -> Result<()> {
        let Question { question, what, refused, nobody_to_ask, next_step } = asked;
        let is_wanted = match self {
            Self::Decided => true,
            Self::Asked => {
                ui::confirm_no(question).map_err(|error| Error::new(format!("Asking for {what}: {error}")))?
            }
            Self::Nobody => {
                return Err(Error::new(*nobody_to_ask).hint(*next_step).exit(Exit::Blocked));
            }
        };
        if is_wanted { Ok(()) } else { Err(Error::new(*refused).exit(Exit::Blocked)) }
    }
}
