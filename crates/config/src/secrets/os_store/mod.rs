//! The operating system's secret store, as the existing connector uses it: one service name, one account per secret, each
//! value JSON-encoded (`"..."`).

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(windows, target_os = "macos"))]
mod native;
#[cfg(not(any(windows, target_os = "macos", target_os = "linux")))]
mod none;

use bwdc_core::Secret;
use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
pub(super) use self::linux::OsStore;
#[cfg(any(windows, target_os = "macos"))]
pub(super) use self::native::OsStore;
#[cfg(not(any(windows, target_os = "macos", target_os = "linux")))]
pub(super) use self::none::OsStore;

const SERVICE: &str = "Bitwarden Directory Connector";

pub(super) const NAME: &str = if cfg!(windows) {
    "the Windows Credential Manager"
} else if cfg!(target_os = "macos") {
    "the keychain"
} else {
    "the secret store (Secret Service)"
};

fn encoded(secret: &Secret) -> Result<Zeroizing<String>, String> {
    serde_json::to_string(secret.reveal()).map(Zeroizing::new).map_err(|error| error.to_string())
}

/// UTF-8, or UTF-16 as the existing connector writes on Windows. What somebody put there by hand may not be JSON: then it
/// is the secret itself.
fn decoded(bytes: &[u8]) -> Result<Secret, String> {
    let text = match utf16(bytes) {
        Some(text) => text,
        None => {
            let text = std::str::from_utf8(bytes).map_err(|_| "a secret in it is not text".to_owned())?;
            Zeroizing::new(text.to_owned())
        }
    };
    Ok(serde_json::from_str::<String>(&text).map_or_else(|_| Secret::from(text.as_str()), Secret::from))
}

/// JSON begins with a quote, which in UTF-16 has a zero byte behind it; no UTF-8 text has.
fn utf16(bytes: &[u8]) -> Option<Zeroizing<String>> {
    let (units, []) = bytes.as_chunks::<2>() else { return None };
    let units = Zeroizing::new(units.iter().map(|unit| u16::from_le_bytes(*unit)).collect::<Vec<_>>());
    let is_json = units.first() == Some(&u16::from(b'"'));
    String::from_utf16(&units).ok().filter(|_| is_json).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_that_was_ever_written_is_read() {
        let secret = Secret::from("p\"ä\\ß€");
        let json = encoded(&secret).unwrap();
        let utf16: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decoded(json.as_bytes()).unwrap(), secret);
        assert_eq!(decoded(&utf16).unwrap(), secret);
        assert_eq!(decoded("p\"ä\\ß€".as_bytes()).unwrap(), secret);
        assert_eq!(decoded(b"12345").unwrap().reveal(), "12345");
        assert!(decoded(&[0xff, 0xfe, 0x00]).is_err());
    }
}
