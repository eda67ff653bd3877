//! systemd's journal of a unit, by `journalctl`.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use super::lines::LineFilter;
use crate::log::escaped;
use crate::ui;
use bwdc_core::error::{Error, Result};
use bwdc_schedule::schedulers::systemd::JournalUnit;

/// What a unit wrote.
pub(super) struct UnitJournal {
    pub(super) unit: JournalUnit,
    pub(super) severity: LineFilter,
}

impl UnitJournal {
    pub(super) fn name(&self) -> String {
        self.words().join(" ")
    }

    fn words(&self) -> Vec<String> {
        let mut words = self.unit.journalctl();
        if self.severity == LineFilter::Trouble {
            words.push("--priority=warning".to_owned());
        }
        words
    }

    pub(super) fn last(&self, count: usize) -> Result<Vec<String>> {
        let more = ["--no-pager".to_owned(), "--quiet".to_owned(), format!("--lines={count}")];
        let text = bwdc_schedule::run(&[self.words(), more.to_vec()].concat(), None)?;
        if text.is_empty() && self.severity == LineFilter::Any {
            ui::hint(&format!(
                "The journal shows this user no lines of {}. As root, run `{}`.",
                self.unit.name,
                self.name()
            ));
        }
        Ok(text.lines().map(escaped).collect())
    }

    pub(super) async fn follow(self) -> Result<()> {
        let words = self.words();
        let attempted = |error: std::io::Error| Error::new(format!("Running `{}`: {error}", self.name()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["--quiet", "--follow", "--lines=0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(attempted)?;
        let Some(stdout) = child.stdout.take() else { return Ok(()) };
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.map_err(attempted)? {
            if ui::stream(&escaped(&line)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}
