//! Secrets are in this process's memory: a crash must not write them to the disk.

/// No core dump, and no other process of the same user may look into this one (prctl(2), PR_SET_DUMPABLE). Where that is
/// refused nothing is lost but the precaution.
#[cfg(unix)]
pub(crate) fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Windows writes none unless somebody configures it to.
#[cfg(not(unix))]
pub(crate) fn no_core_dumps() {}
