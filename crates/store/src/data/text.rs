//! Text as editors and shells of all systems save it.

use std::borrow::Cow;

const UTF_8: [u8; 3] = [0xEF, 0xBB, 0xBF];
const UTF_16_LITTLE: [u8; 2] = [0xFF, 0xFE];
const UTF_16_BIG: [u8; 2] = [0xFE, 0xFF];

/// The text without its byte order mark. Windows PowerShell's `>` writes UTF-16, which is turned into UTF-8.
pub(crate) fn utf8(bytes: &[u8]) -> Cow<'_, [u8]> {
    if let Some(text) = bytes.strip_prefix(&UTF_16_LITTLE) {
        return from_utf16(text, u16::from_le_bytes);
    }
    if let Some(text) = bytes.strip_prefix(&UTF_16_BIG) {
        return from_utf16(text, u16::from_be_bytes);
    }
    Cow::Borrowed(bytes.strip_prefix(&UTF_8).unwrap_or(bytes))
}

fn from_utf16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> Cow<'static, [u8]> {
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|two| unit(*two)).collect();
    Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
}
