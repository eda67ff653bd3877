//! A process with all that it has started, and that have started in turn. A group of its own would keep a password manager from
//! asking at the terminal.

use tokio::process::Child;

/// Kills the process and its descendants when it is dropped, unless the process has ended by itself before.
pub(crate) struct ProcessTree(Option<u32>);

impl ProcessTree {
    pub(crate) fn of(root: &Child) -> Self {
        Self(root.id())
    }

    pub(crate) fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessTree {
    fn drop(&mut self) {
        if let Some(root) = self.0 {
            kill(root);
        }
    }
}

/// From the top, so that nobody is left to start another.
#[cfg(target_os = "linux")]
fn kill(root: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    let children = children(root);
    if let Some(pid) = i32::try_from(root).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    children.into_iter().for_each(kill);
}

/// As the kernel lists them (proc_pid_children(5)).
#[cfg(target_os = "linux")]
fn children(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>())
        .collect()
}

/// The process itself is killed by tokio; what it has started is not known there.
#[cfg(not(target_os = "linux"))]
fn kill(_root: u32) {}
