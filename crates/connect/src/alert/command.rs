//! Commands: a program that is handed our JSON document on stdin. No shell runs it.

use std::process::Stdio;

use bwdc_core::alert::Alert;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::{Error, ErrorKind, Result};

/// Length of what a program says that is repeated in an error.
const REPEATED: u64 = 500;

/// Program that tells somebody.
#[derive(Clone, Debug)]
pub struct Notifier {
    /// Program and arguments: never empty.
    words: Vec<String>,
    /// Variables that are kept from it, since they may have secrets.
    hidden: Vec<String>,
}

impl Notifier {
    /// A program with its arguments, from which these variables are kept. `None` without a program.
    pub fn new(words: Vec<String>, hidden: Vec<String>) -> Option<Self> {
        (!words.is_empty()).then_some(Self { words, hidden })
    }

    /// The program without its arguments.
    pub fn program(&self) -> &str {
        self.words.first().map(String::as_str).unwrap_or_default()
    }

    pub(super) async fn tell(&self, attempted: &str, alert: &Alert) -> Result<String> {
        let failed = |why: String| Error::new(ErrorKind::Refused, attempted, why);
        let document = serde_json::to_vec(alert).map_err(|error| failed(error.to_string()))?;
        let mut command = Command::new(self.program());
        command.args(self.words.iter().skip(1)).stdin(Stdio::piped()).stdout(Stdio::null());
        command.stderr(Stdio::piped()).kill_on_drop(true).env("BWDC_ALERT_EVENT", alert.event.word());
        for name in &self.hidden {
            command.env_remove(name);
        }
        let mut child = command.spawn().map_err(|error| {
            failed(format!("it could not be run: {error}"))
                .hint("Use an absolute path: a scheduler's PATH is short.")
        })?;
        let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
        let hand_over = async {
            if let Some(mut stdin) = stdin {
                // One that does not read to the end is told by its exit code.
                let _ = stdin.write_all(&document).await;
                let _ = stdin.write_all(b"\n").await;
            }
        };
        let listen = async {
            let mut said = Vec::new();
            if let Some(stderr) = stderr {
                let mut first = stderr.take(REPEATED);
                let _ = first.read_to_end(&mut said).await;
                // Whoever says more is not to stand still.
                let _ = tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await;
            }
            said
        };
        let ((), said, ended) = tokio::join!(hand_over, listen, child.wait());
        let ended = ended.map_err(|error| failed(format!("it was lost: {error}")))?;
        if ended.success() {
            return Ok("exit 0".to_owned());
        }
        let said = String::from_utf8_lossy(&said);
        let said = said.trim().lines().last().unwrap_or("it said nothing");
        Err(failed(format!("{ended}: {said}")))
    }
}
