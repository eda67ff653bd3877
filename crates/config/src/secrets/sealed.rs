//! Secrets as they stand in the secrets file: on Windows sealed for this machine (DPAPI, `CryptProtectData`), elsewhere as they are. Whoever
//! may read the file on that machine can open them; in a copy of the file or of the disk they are nothing.

use bwdc_core::Secret;
use bwdc_core::error::{Error, Result};
use zeroize::Zeroizing;

/// What a sealed secret begins with; base64 follows.
const SEALED: &str = "dpapi:";

/// The secret as it is written.
pub(super) fn sealed(secret: &Secret) -> Result<Zeroizing<String>> {
    system::seal(secret)
}

/// The secret that is written so. One that was written by hand is taken as it is.
pub(super) fn opened(text: &str) -> Result<Secret> {
    match text.strip_prefix(SEALED) {
        Some(sealed) => system::open(sealed),
        None => Ok(Secret::from(text)),
    }
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

    pub(super) fn seal(secret: &Secret) -> Result<Zeroizing<String>> {
        Ok(Zeroizing::new(secret.reveal().to_owned()))
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
        let text = sealed(&secret).unwrap();
        assert_eq!(text.contains("ä"), !cfg!(windows));
        assert_eq!(opened(&text).unwrap(), secret);
        assert_eq!(opened("by hand").unwrap().reveal(), "by hand");
    }

    #[test]
    fn what_was_sealed_elsewhere_is_told() {
        let error = opened("dpapi:AQAAANCMnd8=").unwrap_err();
        assert!(error.message.contains("DPAPI") && !error.to_string().contains("AQAAANCMnd8"), "{error}");
    }
}
