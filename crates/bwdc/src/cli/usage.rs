//! Command lines that were not understood, told in the words that scripts know from the existing connector.

use std::ffi::OsString;

use bwdc_core::did_you_mean;
use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// A `--` before the command only says that the command is no option.
pub(super) fn without_leading_escape(arguments: Vec<OsString>) -> Vec<OsString> {
    let first_operand = arguments.iter().skip(1).position(|word| !is_option(word));
    let escape = arguments.iter().skip(1).position(|word| word == "--");
    match (escape, first_operand) {
        (Some(escape), Some(operand)) if escape == operand => {
            let mut arguments = arguments;
            arguments.remove(escape + 1);
            arguments
        }
        _ => arguments,
    }
}

fn is_option(word: &OsString) -> bool {
    word.len() > 1 && word != "--" && word.as_encoded_bytes().starts_with(b"-")
}

/// What to print on stderr.
pub(super) fn text(error: &clap::Error, program: &Command, arguments: &[OsString]) -> String {
    let typed = Typed::of(program, arguments);
    let named = context(error, ContextKind::InvalidArg);
    match error.kind() {
        ErrorKind::InvalidSubcommand if typed.command.is_none() => {
            let told = format!(
                "Invalid command: {}\nSee --help for a list of available commands.",
                typed.operands.join(" ")
            );
            let commands = program.get_subcommands().map(Command::get_name);
            match typed.operands.first().and_then(|word| did_you_mean(word, commands)) {
                Some(near) => format!("{told}\n(Did you mean {near}?)"),
                None => told,
            }
        }
        // What other programs call it.
        ErrorKind::UnknownArgument if named == "--dry-run" && typed.is_command("sync") => {
            format!("{}\n(What a sync would do is shown by: bwdc plan)", unknown_option(&named, ""))
        }
        ErrorKind::UnknownArgument if named.starts_with('-') => {
            let near = context(error, ContextKind::SuggestedArg);
            unknown_option(&named, &near)
        }
        ErrorKind::UnknownArgument => typed.too_many(),
        ErrorKind::TooManyValues => {
            let value = context(error, ContextKind::InvalidValue);
            unknown_option(&format!("{named}={value}"), &named)
        }
        ErrorKind::MissingRequiredArgument => {
            let name = named.split(['<', '>']).nth(1).unwrap_or(&named).to_lowercase();
            format!("error: missing required argument '{name}'")
        }
        ErrorKind::InvalidValue if context(error, ContextKind::InvalidValue).is_empty() => {
            format!("error: option '{named}' argument missing")
        }
        _ => error.to_string(),
    }
}

fn unknown_option(option: &str, near: &str) -> String {
    let error = format!("error: unknown option '{option}'");
    if near.is_empty() { error } else { format!("{error}\n(Did you mean {near}?)") }
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

/// The command line, sorted.
struct Typed<'a> {
    command: Option<&'a Command>,
    /// The words behind the command, or all of them if there is no such command, without options and their values.
    operands: Vec<String>,
}

impl<'a> Typed<'a> {
    fn of(program: &'a Command, arguments: &[OsString]) -> Self {
        let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).peekable();
        while let Some(option) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
            if takes_value(program, &option) {
                words.next();
            }
        }
        let mut command = None;
        while let Some(inner) = words.peek().and_then(|name| command.unwrap_or(program).find_subcommand(name))
        {
            command = Some(inner);
            words.next();
        }
        let mut operands = Vec::new();
        while let Some(word) = words.next() {
            if !word.starts_with('-') || word.len() == 1 {
                operands.push(word);
            } else if command.is_some_and(|command| takes_value(command, &word)) {
                words.next();
            }
        }
        Self { command, operands }
    }

    fn is_command(&self, name: &str) -> bool {
        self.command.is_some_and(|command| command.get_name() == name)
    }

    fn too_many(&self) -> String {
        let name = self.command.map(Command::get_name).unwrap_or_default();
        let expected = self.command.map_or(0, |command| command.get_positionals().count());
        let plural = if expected == 1 { "" } else { "s" };
        format!(
            "error: too many arguments for '{name}'. Expected {expected} argument{plural} but got {}: {}.",
            self.operands.len(),
            self.operands.join(", ")
        )
    }
}

fn takes_value(command: &Command, word: &str) -> bool {
    let is_meant =
        |argument: &&clap::Arg| argument.get_long().is_some_and(|long| word[1..] == format!("-{long}"));
    command.get_arguments().find(is_meant).is_some_and(|argument| argument.get_action().takes_values())
}
