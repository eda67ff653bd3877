//! `docs/commands.md` says what `--help` says. `BLESS=1 cargo test -p bwdc` writes it.

use std::fmt::Write as _;
use std::path::Path;

use clap::{Arg, Command, CommandFactory as _};

use super::{Cli, GLOBAL};

#[test]
#[expect(clippy::disallowed_methods, reason = "a switch for whoever runs the test")]
fn the_reference_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page, "docs/commands.md is out of date: run BLESS=1 cargo test -p bwdc");
}

fn page() -> String {
    let mut page = String::from(
        "# Commands\n\n\
         Made from what `bwdc COMMAND --help` prints; do not edit. `bwdc man DIR` writes the same as man pages.\n",
    );
    let mut program = Cli::command();
    program.build();
    write!(page, "\n```text\n{}\n```\n", help(&program, |_| true)).unwrap();
    for command in commands(&program) {
        describe(&mut page, command, 2);
    }
    page
}

fn commands(of: &Command) -> impl Iterator<Item = &Command> {
    of.get_subcommands().filter(|command| command.get_name() != "help" && !command.is_hide_set())
}

fn describe(page: &mut String, command: &Command, level: usize) {
    let name = command.get_bin_name().unwrap_or_default();
    let own = |argument: &Arg| argument.get_help_heading() != Some(GLOBAL) && argument.get_id() != "help";
    write!(page, "\n{} {name}\n\n```text\n{}\n```\n", "#".repeat(level), help(command, own)).unwrap();
    for command in commands(command) {
        describe(page, command, level + 1);
    }
}

fn help(command: &Command, shows: impl Fn(&Arg) -> bool) -> String {
    let hidden = |argument: Arg| {
        let hide = argument.is_hide_set() || !shows(&argument);
        argument.hide(hide)
    };
    let text = command.clone().term_width(100).mut_args(hidden).render_long_help().to_string();
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
