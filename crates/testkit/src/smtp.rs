//! SMTP server: Debian's python3-aiosmtpd, which keeps each mail as a file.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::certificates::Pair;

/// How the server speaks TLS.
#[derive(Clone, Copy, Debug)]
pub enum SmtpTls<'a> {
    /// Not at all.
    Nothing,
    /// By STARTTLS, without which it takes no mail.
    StartTls(&'a Pair),
    /// From the start.
    Wrapped(&'a Pair),
}

/// Running server. It ends with this value.
#[derive(Debug)]
pub struct Smtp {
    process: Child,
    mails: TempDir,
    port: u16,
}

/// User that the server knows, with the password.
pub const LOGIN: (&str, &str) = ("bwdc", "S3cr3t-of-the-mail-server");

const SERVER: &str = r#"
import asyncio, logging, os, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult
folder, mode, certificate, key = sys.argv[1:5]
logging.disable(logging.CRITICAL)
class Keep:
    count = 0
    async def handle_DATA(self, server, session, envelope):
        Keep.count += 1
        head = "From: %s\nTo: %s\nTLS: %s\nLogin: %s\n\n" % (envelope.mail_from, ",".join(envelope.rcpt_tos), server.transport.get_extra_info("ssl_object") is not None, session.authenticated)
        path = os.path.join(folder, "%04d" % Keep.count)
        with open(path + ".part", "wb") as file:
            file.write(head.encode() + envelope.content)
        os.rename(path + ".part", path)
        return "250 OK kept"
def known(server, session, envelope, mechanism, data):
    good = (data.login.decode(), data.password.decode()) == ("bwdc", "S3cr3t-of-the-mail-server")
    return AuthResult(success=good, handled=False)
context = None
if mode != "nothing":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
def make():
    starttls = context if mode == "starttls" else None
    return SMTP(Keep(), hostname="mail.example.org", tls_context=starttls, require_starttls=mode == "starttls", authenticator=known, auth_require_tls=mode == "starttls")
async def main():
    loop = asyncio.get_running_loop()
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context if mode == "wrapped" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"#;

impl Smtp {
    /// Starts a server; `None` where the package is missing.
    pub fn start(tls: SmtpTls<'_>) -> Option<Self> {
        let mails = tempfile::tempdir().expect("a folder for the mails");
        let nowhere = Path::new("");
        let (mode, certificate, key) = match tls {
            SmtpTls::Nothing => ("nothing", nowhere, nowhere),
            SmtpTls::StartTls(pair) => ("starttls", pair.certificate.as_path(), pair.key.as_path()),
            SmtpTls::Wrapped(pair) => ("wrapped", pair.certificate.as_path(), pair.key.as_path()),
        };
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-c", SERVER]).arg(mails.path()).arg(mode).arg(certificate).arg(key);
        let mut process =
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("starting python3");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its port");
        match line.trim().parse() {
            Ok(port) => Some(Self { process, mails, port }),
            Err(_) => {
                let _ = process.wait();
                None
            }
        }
    }

    /// Port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Mails that were taken, in their order: envelope, then the mail itself.
    pub fn mails(&self) -> Vec<String> {
        let entries = fs::read_dir(self.mails.path()).expect("the folder of the mails").flatten();
        let mut paths: Vec<_> =
            entries.map(|entry| entry.path()).filter(|path| path.extension().is_none()).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).expect("a mail")).collect()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
