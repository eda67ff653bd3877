//! The program as the first process of a container.

use super::*;

/// A namespace of its own, in which the program is the first process.
fn first(company: &Company, more: &[&str]) -> Command {
    let usual = company.command(more);
    let mut space = vec!["--map-root-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--"];
    space.push(usual.get_program().to_str().unwrap());
    space.extend(usual.get_args().map(|argument| argument.to_str().unwrap()));
    company.instance.command_of("unshare".as_ref(), &space)
}

/// State of a process, and its parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The processes whose parent is this one, and their states.
fn children_with_states(parent: u32) -> Vec<(u32, char)> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    processes
        .filter_map(|pid| stat(pid).filter(|(_, of)| *of == parent).map(|(state, _)| (pid, state)))
        .collect()
}

/// Commands for secrets may start others and end before them.
#[test]
fn it_takes_on_what_others_leave_behind_and_passes_signals_on() {
    let organization = Organization::start(Options::default());
    let mut company = Company::of(1, &organization);
    let left = company.instance.folder.path().join("left");
    let key = organization.sandbox.client_secret();
    let orphan = format!("(sleep 0.3; touch {}) >/dev/null 2>&1 &", left.display());
    company.key_by(&format!("sh -c '{orphan} echo {key}'"));
    let log = fs::File::create(company.instance.folder.path().join("daemon.log")).unwrap();
    let outside = first(&company, &[]).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
    let outside = Daemon(outside);
    company.wait_for("a run", |status| company.all_ran(status));
    until("the end of what was left behind", || left.exists().then_some(()));
    let first = children_with_states(outside.0.id())[0].0;
    let daemon = until("only the daemon", || match children_with_states(first)[..] {
        [(daemon, state)] if state != 'Z' => Some(daemon),
        _ => None,
    });
    assert_eq!(stat(daemon).unwrap().1, first);
    let signalled = Command::new("kill").args(["-TERM", &first.to_string()]).status().unwrap();
    assert!(signalled.success());
    let mut outside = outside;
    assert_eq!(outside.0.wait().unwrap().code(), Some(0), "{}", company.log());
    assert!(company.log().contains("asked to end"), "{}", company.log());
}

#[test]
fn it_ends_as_the_command_does() {
    let organization = Organization::start(Options::default());
    let company = Company::of(1, &organization);
    let ran: Ran = first(&company, &["--at-once", "none"]).output().unwrap().into();
    ran.fails(1, &["--at-once"]);
    let ran: Ran = first(&company, &["--help"]).output().unwrap().into();
    assert!(ran.ok().out.contains("Usage: bwdc daemon"));
}
