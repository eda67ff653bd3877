//! Secrets as they stand in the secrets file: as they are, or, in the folder of a machine with Windows, sealed for it (DPAPI,
//! `CryptProtectData`). Whoever may read the file on that machine can open them; in a copy of the file or of the disk they are nothing.

use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use zeroize::Zeroizing;

/// What a sealed secret begins with; base64 follows.
const SEALED: &str = "dpapi:";

/// How a secret is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Plain,
    /// So that only this machine opens it.
    Sealed,
}

/// The secret as it is written.
pub(super) fn written(secret: &Secret, form: Form) -> Result<Zeroizing<String>> {
    match form {
        Form::Plain => Ok(Zeroizing::new(secret.reveal().to_owned())),
        Form::Sealed => system::seal(secret),
    }
}

/// The secret that is written so. One that was written by hand is taken as it is.
pub(super) fn opened(text: &str) -> Result<Secret> {
    match text.strip_prefix(SEALED).filter(|rest| is_sealed(rest)) {
        Some(sealed) => system::open(sealed),
        None => Ok(Secret::from(text)),
    }
}

/// Whether it is what DPAPI gives: a version, 1, and a provider before everything else. A password that begins with our word is none.
fn is_sealed(text: &str) -> bool {
    text.len() >= 80 && text.starts_with("AQAAA")
}

#[cfg(windows)]
mod system {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use windows_dpapi::{Scope, decrypt_data, encrypt_data};

    use super::*;

    /// Keeps what we have sealed from being opened as something else's.
    const PURPOSE: &[u8] = b"bwdc secrets file";

    pub(super) fn seal(secret: &Secret) -> Result<Zeroizing<String>> {
        let sealed = encrypt_data(secret.reveal().as_bytes(), Scope::Machine, Some(PURPOSE));
        let sealed = sealed.map_err(|error| Error::new(format!("Sealing a secret with DPAPI: {error:#}")))?;
        Ok(Zeroizing::new(format!("{SEALED}{}", STANDARD.encode(sealed))))
    }

    pub(super) fn open(sealed: &str) -> Result<Secret> {
        let opened = || -> std::result::Result<Secret, String> {
            let bytes = STANDARD.decode(sealed.trim()).map_err(|error| error.to_string())?;
            let opened = decrypt_data(&bytes, Scope::Machine, Some(PURPOSE));
            let opened = Zeroizing::new(opened.map_err(|error| format!("{error:#}"))?);
            let text = std::str::from_utf8(&opened).map_err(|error| error.to_string())?;
            Ok(Secret::from(text))
        };
        opened().map_err(|error| {
            Error::new(format!("A secret in it, sealed with DPAPI, cannot be opened: {error}")).hint(
                "It was sealed on another machine, or before Windows was installed anew: save it again.",
            )
        })
    }
}

#[cfg(not(windows))]
mod system {
    use super::*;

    /// Only Windows has folders of the machine's.
    pub(super) fn seal(secret: &Secret) -> Result<Zeroizing<String>> {
        written(secret, Form::Plain)
    }

    pub(super) fn open(_sealed: &str) -> Result<Secret> {
        Err(Error::new("A secret in it was sealed on a machine with Windows (DPAPI), and opens only there.")
            .hint("Save it again on this machine."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_again() {
        let secret = Secret::from("p\"ä ß");
        let text = written(&secret, Form::Sealed).unwrap();
        assert_eq!(text.contains("ä"), !cfg!(windows));
        assert_eq!(opened(&text).unwrap(), secret);
        for plain in ["by hand", "dpapi:AQAAA", "dpapi:"] {
            assert_eq!(opened(plain).unwrap().reveal(), plain);
        }
    }

    #[test]
    fn what_was_sealed_elsewhere_is_told() {
        let error = opened(&format!("dpapi:AQAAANCMnd8{}", "A".repeat(100))).unwrap_err();
        assert!(error.message.contains("DPAPI") && !error.to_string().contains("AQAAANCMnd8"), "{error}");
    }
}
