//! Where `bwdc status` asks: a question of one line, an answer of one line of JSON.
//!
//! Who may ask, and where, is up to the system: a socket on Unix, a named pipe on Windows. Both let in our own user and the
//! machine's administrators.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::time::timeout;

use super::Shared;
use super::status::DaemonStatus;
use bwdc_core::error::{Error, Result, first_success};

#[cfg(unix)]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

pub(super) use self::system::Listener;

/// The one question. Nobody is answered before it: on Windows, whoever may not write could still read.
const QUESTION: &[u8] = b"status\n";

/// The status of some ten thousand instances.
const LARGEST_ANSWER: u64 = 16 << 20;

/// Asking and answering take no longer.
const LIMIT: Duration = Duration::from_secs(5);

/// The daemon's end in the first of these folders that we may write to, unless there is another daemon in any of them.
pub(super) async fn open(folders: &[PathBuf]) -> Result<Listener> {
    for folder in folders {
        nobody_answers_at(&system::place(folder)).await?;
    }
    first_success(folders.iter().map(|folder| Listener::open(system::place(folder))))
        .unwrap_or_else(|| Err(Error::new("No folder was given for the daemon's socket.")))
}

async fn nobody_answers_at(place: &Path) -> Result<()> {
    match timeout(LIMIT, system::connect(place)).await {
        Ok(Err(error)) if system::is_nobody(&error) => Ok(()),
        Ok(Err(error)) => {
            Err(Error::new(format!("Looking for another daemon at {}: {error}", place.display()))
                .hint("Another user's daemon may be there: stop it first, or use another folder."))
        }
        // One that has no time is one, too.
        Ok(Ok(_)) | Err(_) => Err(another_daemon(place)),
    }
}

/// Answers whoever asks, each by itself, so that one who is silent keeps nobody waiting.
pub(super) async fn serve(mut listener: Listener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok(stream) => {
                tokio::spawn(tell(stream, Arc::clone(&shared)));
            }
            Err(error) => {
                tracing::warn!(%error, "a request for the daemon's status was not accepted");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn tell(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    match timeout(LIMIT, answer(stream, &shared)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "somebody came for the status and went without"),
        Err(_) => tracing::debug!("somebody came for the status and neither asked nor listened"),
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> io::Result<()> {
    let mut question = [0; QUESTION.len()];
    stream.read_exact(&mut question).await?;
    if question != QUESTION {
        return Err(io::Error::other("that is not a request"));
    }
    let mut text = serde_json::to_vec(&shared.status())?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.flush().await?;
    // What nobody has read yet goes with a pipe: the one who asked hangs up first.
    let _ = stream.read(&mut question).await;
    Ok(())
}

fn another_daemon(place: &Path) -> Error {
    Error::new(format!("Another daemon answers at {}.", place.display()))
        .hint("Stop it first; one daemon runs all instances of a configuration.")
}

/// Asks the daemon that listens in one of these folders, if there is one that would answer us.
///
/// # Errors
/// It answers with what is no status, or not in time.
pub async fn ask(folders: &[PathBuf]) -> Result<Option<DaemonStatus>> {
    for folder in folders {
        if let Some(status) = ask_in(folder).await? {
            return Ok(Some(status));
        }
    }
    Ok(None)
}

async fn ask_in(folder: &Path) -> Result<Option<DaemonStatus>> {
    let place = system::place(folder);
    let no_daemon = |why: &dyn std::fmt::Display| {
        Error::new(format!("No daemon answers at {}: {why}.", place.display()))
            .hint("It may run as another user or be another version: restart it.")
    };
    let asked = timeout(LIMIT, async { question(system::connect(&place).await?).await }).await;
    match asked.map_err(|_| no_daemon(&format!("no answer within {} s", LIMIT.as_secs())))? {
        Ok(answer) => serde_json::from_str(&answer)
            .map(Some)
            .map_err(|error| no_daemon(&format!("the answer cannot be understood ({error})"))),
        Err(error) if system::is_nobody(&error) || error.kind() == io::ErrorKind::PermissionDenied => {
            Ok(None)
        }
        Err(error) => Err(no_daemon(&error)),
    }
}

async fn question(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    stream.write_all(QUESTION).await?;
    stream.flush().await?;
    let mut answer = String::new();
    BufReader::new(stream.take(LARGEST_ANSWER)).read_line(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use bwdc_testkit::{damaged, few};
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn shared(pid: u32) -> Arc<Shared> {
        let version = "1.0.0".to_owned();
        let status =
            DaemonStatus { version, pid, started: Timestamp::UNIX_EPOCH, instances: BTreeMap::new() };
        Arc::new(Shared(Mutex::new(status)))
    }

    #[tokio::test]
    async fn one_daemon_answers_all_and_there_is_no_second() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one & a h\u{e4}lf"), folder.path().join("other"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&other).unwrap();
        let daemons = [(&one, 7), (&other, 8)];
        let mut tasks = Vec::new();
        for (folder, pid) in daemons {
            tasks.push(tokio::spawn(serve(open(std::slice::from_ref(folder)).await.unwrap(), shared(pid))));
        }
        let silent = system::connect(&system::place(&one)).await.unwrap();
        for (folder, pid) in daemons {
            let asks = futures_util::future::join_all((0..50).map(|_| ask_in(folder))).await;
            assert!(asks.iter().all(|asked| asked.as_ref().unwrap().as_ref().unwrap().pid == pid));
            let second = open(std::slice::from_ref(folder)).await.unwrap_err().to_string();
            assert!(second.starts_with("Another daemon answers at "), "{second}");
        }
        drop(silent);
        for task in tasks {
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        }
        assert!(ask_in(&one).await.unwrap().is_none());
        open(&[one]).await.unwrap();
    }

    /// As with a `bwdc.toml` in /etc.
    #[tokio::test]
    async fn a_daemon_that_cannot_listen_beside_its_configuration_does_so_in_its_folder() {
        let place = tempfile::tempdir().unwrap();
        // Whoever runs this may write everywhere, but not below a file.
        let (closed, folder) = (place.path().join("file/etc"), place.path().join("folder"));
        std::fs::create_dir(&folder).unwrap();
        let folders = [closed.clone(), folder];
        let listener = open(&folders).await.unwrap();
        let task = tokio::spawn(serve(listener, shared(7)));
        assert_eq!(ask(&folders).await.unwrap().unwrap().pid, 7);
        let second = open(&folders).await.unwrap_err().to_string();
        assert!(second.starts_with("Another daemon answers at "), "{second}");
        let none = open(std::slice::from_ref(&closed)).await.unwrap_err().to_string();
        assert!(none.starts_with("Opening the daemon's "), "{none}");
        task.abort();
    }

    #[tokio::test]
    async fn only_the_question_is_answered() {
        for asked in ["", "stat", "secret\n"] {
            let (ours, mut theirs) = tokio::io::duplex(64);
            theirs.write_all(asked.as_bytes()).await.unwrap();
            theirs.shutdown().await.unwrap();
            tell(ours, shared(1)).await;
            let mut told = String::new();
            theirs.read_to_string(&mut told).await.unwrap();
            assert_eq!(told, "", "{asked}");
        }
    }

    const STATUS: [&str; 2] = [
        r#"{"version":"1.0.0","pid":7,"started":"2026-01-01T00:00:00Z","instances":{"hq":{"runningSince":null,"nextRun":"2026-01-01T00:00:00Z","last":{"at":"2026-01-01T00:00:00Z","seconds":1.5,"exit":1,"message":"No.\\nAt all."},"runs":2,"failed":1,"failuresInARow":1,"lastSuccess":"-009999-01-02T01:59:59Z"}}}"#,
        r#"{"version":"1","pid":1,"started":"9999-12-30T22:00:00Z","instances":{}}"#,
    ];

    proptest! {
        #![proptest_config(few())]

        /// Whoever asks anything else gets nothing, and whatever is answered is told or refused.
        #[test]
        fn fuzz_questions_and_answers(asked in damaged(["status\n", "status\nstatus\n"]), told in damaged(STATUS)) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let answered = runtime.block_on(async {
                let (ours, theirs) = tokio::io::duplex(1 << 20);
                let (mut from, mut to) = tokio::io::split(theirs);
                let question = async {
                    let _ = to.write_all(&asked).await;
                    let _ = to.shutdown().await;
                };
                let listening = async {
                    let mut text = String::new();
                    from.read_to_string(&mut text).await.unwrap();
                    text
                };
                let shared = shared(1);
                tokio::join!(tell(ours, shared), question, listening).2
            });
            prop_assert_eq!(!answered.is_empty(), asked.starts_with(QUESTION));
            let read = runtime.block_on(async {
                let (ours, mut theirs) = tokio::io::duplex(1 << 20);
                theirs.write_all(&told).await.unwrap();
                theirs.write_all(b"\n").await.unwrap();
                question(ours).await
            });
            if let Ok(status) = read.map_err(|_| ()).and_then(|text| serde_json::from_str::<DaemonStatus>(&text).map_err(|_| ())) {
                for now in [Timestamp::MIN, Timestamp::now(), Timestamp::MAX] {
                    let _ = status.in_trouble(now);
                }
                let again: DaemonStatus = serde_json::from_slice(&serde_json::to_vec(&status).unwrap()).unwrap();
                prop_assert_eq!(again.instances.len(), status.instances.len());
            }
        }
    }
}
