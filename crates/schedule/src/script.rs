//! A sync script for those who want one of their own.

use crate::job::on_one_line;
use crate::shell::quoted;
use bwdc_core::error::Result;

/// What the script is about.
#[derive(Clone, Debug)]
pub struct Script {
    /// The program to run.
    pub program: String,
    /// The folders of the instances.
    pub folders: Vec<String>,
    /// The organization's client id, if it is not kept by a login.
    pub client_id: Option<String>,
    /// The file with the API key; `client-secret` in each folder, if it is not given.
    pub secret_file: Option<String>,
}

impl Script {
    fn secret_file(&self, folder: &str, separator: char) -> String {
        self.secret_file.clone().unwrap_or_else(|| format!("{folder}{separator}client-secret"))
    }

    fn check(&self) -> Result<()> {
        self.folders.iter().try_for_each(|folder| on_one_line("folder", folder))?;
        on_one_line("program", &self.program)?;
        self.secret_file.iter().try_for_each(|file| on_one_line("file", file))?;
        self.client_id.iter().try_for_each(|id| on_one_line("client id", id))
    }

    /// For a POSIX shell.
    pub fn sh(&self) -> Result<String> {
        self.check()?;
        let client_id = match &self.client_id {
            Some(id) => format!("BW_CLIENTID={}\nexport BW_CLIENTID\n", quoted(id)?),
            None => "# The client id is the one that `bwdc login` has kept.\n".to_owned(),
        };
        let mut calls = String::new();
        for folder in &self.folders {
            let file = quoted(&self.secret_file(folder, '/'))?;
            calls.push_str(&format!("sync_one {} {file}\n", quoted(folder)?));
        }
        Ok(SH
            .replace("@PROGRAM@", &quoted(&self.program)?)
            .replace("@CLIENT_ID@\n", &client_id)
            .replace("@CALLS@\n", &calls))
    }

    /// For PowerShell 5.1 and later.
    pub fn powershell(&self) -> Result<String> {
        self.check()?;
        let client_id = match &self.client_id {
            Some(id) => format!("$env:BW_CLIENTID = {}\n", literal(id)),
            None => "# The client id is the one that `bwdc login` has kept.\n".to_owned(),
        };
        let mut calls = String::new();
        for folder in &self.folders {
            let file = literal(&self.secret_file(folder, '\\'));
            calls.push_str(&format!("Sync-One {} {file}\n", literal(folder)));
        }
        Ok(POWERSHELL
            .replace("@PROGRAM@", &literal(&self.program))
            .replace("@CLIENT_ID@\n", &client_id)
            .replace("@CALLS@\n", &calls))
    }
}

/// A text for PowerShell, taken as it is. What is not ASCII is spelled: PowerShell 5.1 takes a script without a byte order mark for
/// one in the machine's old code page, and every PowerShell takes typographic quotation marks for quotes.
pub(crate) fn literal(text: &str) -> String {
    let units = |c: char| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("' + [char]0x{unit:04x} + '")).collect()
    };
    let spelled = |c: char| match c {
        '\'' => "''".to_owned(),
        _ if c.is_ascii() => c.to_string(),
        _ => units(c),
    };
    let literal = format!("'{}'", text.chars().map(spelled).collect::<String>());
    if text.is_ascii() { literal } else { format!("({literal})") }
}

const SH: &str = r#"#!/bin/sh
# Syncs each instance in turn. Goes on after one has failed, and fails itself at the end if any has.
# What they say is appended to bwdc.log in the instance's folder.
set -u
umask 077
bwdc=@PROGRAM@
failed=0
@CLIENT_ID@

# Exit code 3, another sync is running, and 4, done with entries left out, are in the log, and no failure.
sync_one() { # FOLDER SECRET-FILE
    log=$1/bwdc.log
    printf '%s sync of %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" >>"$log" || { failed=1; return; }
    secret=$(read_secret "$2" 2>>"$log") || { failed=1; return; }
    BITWARDENCLI_CONNECTOR_APPDATA_DIR=$1 BW_CLIENTSECRET=$secret "$bwdc" sync >>"$log" 2>&1
    code=$?
    printf '%s ended with %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$code" >>"$log"
    case $code in 0 | 3 | 4) ;; *) failed=1 ;; esac
}

# The first line of a file that nobody but its owner can read.
read_secret() { # FILE
    case $(ls -Lld -- "$1") in
        -r??------*) ;;
        '') return 1 ;;
        *) printf 'Others can read %s: chmod 600 it.\n' "$1" >&2; return 1 ;;
    esac
    IFS= read -r line <"$1" || [ -n "${line-}" ] || { printf 'There is nothing in %s.\n' "$1" >&2; return 1; }
    printf %s "$line"
}

@CALLS@
exit $failed
"#;

const POWERSHELL: &str = r#"# Syncs each instance in turn. Goes on after one has failed, and fails itself at the end if any has.
# What they say is appended to bwdc.log in the instance's folder.
$ErrorActionPreference = 'Continue'
$bwdc = @PROGRAM@
$script:failed = 0
@CLIENT_ID@

# bwdc speaks UTF-8, Windows PowerShell expects the console's code page. Without a console there is nothing to set.
$encoding = [Console]::OutputEncoding
try { [Console]::OutputEncoding = [Text.Encoding]::UTF8 } catch { }

# The first line of a file that nobody but this user, the system and its administrators can read.
function Read-Secret($File) {
    $allowed = @([Security.Principal.WindowsIdentity]::GetCurrent().User.Value, 'S-1-5-18', 'S-1-5-32-544')
    $rules = (Get-Acl -LiteralPath $File -ErrorAction Stop).GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])
    $others = $rules | Where-Object { $_.AccessControlType -eq 'Allow' -and $allowed -notcontains $_.IdentityReference.Value }
    if ($others) {
        throw "Others can read ${File}: icacls `"$File`" /inheritance:r /grant:r `"$($env:USERNAME):F`""
    }
    $line = Get-Content -LiteralPath $File -TotalCount 1 -ErrorAction Stop
    if (-not $line) { throw "There is nothing in $File." }
    $line
}

# Exit code 3, another sync is running, and 4, done with entries left out, are in the log, and no failure.
function Sync-One($Folder, $SecretFile) {
    $log = Join-Path $Folder 'bwdc.log'
    try {
        "$((Get-Date).ToUniversalTime().ToString('s'))Z sync of $Folder" | Out-File -Append -Encoding utf8 -LiteralPath $log
        $env:BITWARDENCLI_CONNECTOR_APPDATA_DIR = $Folder
        $env:BW_CLIENTSECRET = Read-Secret $SecretFile
        & $bwdc sync 2>&1 | ForEach-Object { "$_" } | Out-File -Append -Encoding utf8 -LiteralPath $log
        $code = $LASTEXITCODE
        "$((Get-Date).ToUniversalTime().ToString('s'))Z ended with $code" | Out-File -Append -Encoding utf8 -LiteralPath $log
        if (@(0, 3, 4) -notcontains $code) { $script:failed = 1 }
    } catch {
        $script:failed = 1
        "$_" | Out-File -Append -Encoding utf8 -LiteralPath $log
    } finally {
        Remove-Item Env:BW_CLIENTSECRET -ErrorAction SilentlyContinue
    }
}

@CALLS@
try { [Console]::OutputEncoding = $encoding } catch { }
exit $script:failed
"#;

#[cfg(test)]
mod tests {
    use tree_sitter::{Node, Parser};

    use crate::schedulers::registering;
    use crate::times::Schedule;
    use crate::{Job, ScheduledJob, Syncs, Writes};

    use super::*;

    /// All words in quotes that PowerShell finds in a text that it understands; `Err` with what it does not.
    fn read_by_powershell(text: &str) -> std::result::Result<Vec<String>, String> {
        fn walk(node: Node<'_>, text: &str, quoted: &mut Vec<String>) -> std::result::Result<(), String> {
            let own = &text[node.byte_range()];
            if node.is_error() || node.is_missing() {
                return Err(format!("line {}: {own}", node.start_position().row + 1));
            }
            if node.kind() == "verbatim_string_characters" {
                quoted.push(own.to_owned());
            }
            node.children(&mut node.walk()).try_for_each(|child| walk(child, text, quoted))
        }
        let mut parser = Parser::new();
        parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
        let mut quoted = Vec::new();
        walk(parser.parse(text, None).unwrap().root_node(), text, &mut quoted)?;
        Ok(quoted)
    }

    const FOLDERS: [&str; 6] = [
        "C:\\ProgramData\\bwdc",
        "C:\\it's $HOME `n; exit & \"x\"",
        "C:\\{a} (b) [c] #d @e",
        "C:\\M\u{fc}ller",
        "\u{2018}C\u{2019}",
        "C:\\\u{1f980}\\'",
    ];

    fn script() -> Script {
        Script {
            program: "C:\\Program Files\\bwdc\\bwdc.exe".to_owned(),
            folders: FOLDERS.map(str::to_owned).to_vec(),
            client_id: Some("organization.1".to_owned()),
            secret_file: None,
        }
    }

    #[test]
    fn powershell_understands_the_script_in_every_code_page() {
        for client_id in [Some("organization.1".to_owned()), None] {
            let text = Script { client_id, ..script() }.powershell().unwrap();
            assert!(text.is_ascii());
            let quoted = read_by_powershell(&text).unwrap();
            for folder in FOLDERS {
                let literal = literal(folder);
                assert!(text.contains(&format!("Sync-One {literal} ")), "{text}");
                if folder.is_ascii() {
                    assert!(quoted.contains(&literal), "{literal} is not one text: {quoted:?}");
                }
            }
            read_by_powershell(&text.replace("catch", "cach")).unwrap_err();
        }
    }

    #[test]
    fn what_is_not_ascii_is_spelled() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("M\u{fc}ller"), "('M' + [char]0x00fc + 'ller')");
        assert_eq!(
            literal("\u{2019}\u{1f980}"),
            "('' + [char]0x2019 + '' + [char]0xd83e + '' + [char]0xdd80 + '')"
        );
    }

    #[test]
    fn powershell_understands_the_registration() {
        let job = ScheduledJob {
            schedule: Schedule::parse("@weekly").unwrap(),
            runs: Job {
                program: "bwdc.exe".to_owned(),
                folder: FOLDERS[0].to_owned(),
                syncs: Syncs::Everything,
                writes: Writes::default(),
                user: "CORP\\O'Brien".to_owned(),
                variables: Vec::new(),
            },
        };
        let [_, text] = registering(&job, "task.xml");
        let quoted = read_by_powershell(&text).unwrap();
        assert!(quoted.contains(&"'CORP\\O''Brien'".to_owned()), "{quoted:?}");
    }

    #[test]
    fn powershell_understands_the_commands_of_the_documentation() {
        let page = include_str!("../../../docs/schedule.md");
        let blocks: Vec<&str> =
            page.split("\n```powershell\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
        assert_eq!(blocks.len(), 1);
        read_by_powershell(blocks[0]).unwrap();
    }
}
