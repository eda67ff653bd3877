//! Subset of BER that LDAP uses (X.690; RFC 4511, section 5.1): definite lengths, tags of one octet. Reads borrow from the
//! buffer, and nothing recurses, however deep an answer is nested.

/// Tags, class and form included.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]`, with a value inside.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]`, with elements inside.
    pub(crate) const fn context_of_many(number: u8) -> u8 {
        0xa0 | number
    }

    /// `[APPLICATION number]`, with elements inside: most operations.
    pub(crate) const fn application(number: u8) -> u8 {
        0x60 | number
    }

    /// `[APPLICATION number]`, with a value inside: `UnbindRequest`.
    pub(crate) const fn application_value(number: u8) -> u8 {
        0x40 | number
    }
}

/// Bit of a tag that marks elements inside.
const CONSTRUCTED: u8 = 0x20;
/// Tag number that takes more octets: LDAP has none.
const LONG_TAG: u8 = 0x1f;

/// Error for octets that are not BER as LDAP uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

pub(crate) type Result<T> = std::result::Result<T, Malformed>;

/// Tag and length of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) tag: u8,
    /// Number of octets of tag and length.
    pub(crate) size: usize,
    /// Number of octets of the content.
    pub(crate) length: usize,
}

impl Header {
    /// Reads the header at the start of these octets; `None` if they end before it does.
    pub(crate) fn read(octets: &[u8]) -> Result<Option<Self>> {
        let [tag, first, more @ ..] = octets else { return Ok(None) };
        if tag & LONG_TAG == LONG_TAG {
            return Err(Malformed);
        }
        if *first < 0x80 {
            return Ok(Some(Self { tag: *tag, size: 2, length: usize::from(*first) }));
        }
        let count = usize::from(first & 0x7f);
        // No octets mean an indefinite length, which LDAP forbids.
        if count == 0 || count > size_of::<u64>() {
            return Err(Malformed);
        }
        let Some(octets) = more.get(..count) else { return Ok(None) };
        let length = octets.iter().fold(0_u64, |length, octet| (length << 8) | u64::from(*octet));
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        Ok(Some(Self { tag: *tag, size: 2 + count, length }))
    }

    /// Whether there are elements inside.
    pub(crate) fn is_of_many(self) -> bool {
        self.tag & CONSTRUCTED != 0
    }

    /// Number of octets of the whole element.
    pub(crate) fn end(self) -> Result<usize> {
        self.size.checked_add(self.length).ok_or(Malformed)
    }
}

/// Reads element after element.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { left: octets }
    }

    /// Tag of the next element; `None` at the end.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.left.first().copied()
    }

    /// Tag and content of the next element; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let header = Header::read(self.left)?.ok_or(Malformed)?;
        let end = header.end()?;
        let content = self.left.get(header.size..end).ok_or(Malformed)?;
        self.left = &self.left[end..];
        Ok(Some((header.tag, content)))
    }

    /// Content of the next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8]> {
        match self.next()? {
            Some((found, content)) if found == tag => Ok(content),
            _ => Err(Malformed),
        }
    }

    /// Content of the next element if it has this tag; otherwise it is left for later.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>> {
        if self.peek() == Some(tag) { self.expect(tag).map(Some) } else { Ok(None) }
    }
}

/// Number from 0 to 2^31 - 1, the range of all of LDAP's numbers.
pub(crate) fn number(content: &[u8]) -> Result<u32> {
    // Empty, or negative.
    if content.first().is_none_or(|first| *first >= 0x80) {
        return Err(Malformed);
    }
    let mut octets = content.iter();
    let number = octets.try_fold(0_u32, |number, octet| Some(number.checked_mul(256)? | u32::from(*octet)));
    number.filter(|number| *number <= i32::MAX as u32).ok_or(Malformed)
}

/// Appends elements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    octets: Vec<u8>,
}

impl Writer {
    pub(crate) fn finish(self) -> Vec<u8> {
        self.octets
    }

    /// Appends an element with a value inside.
    pub(crate) fn value(&mut self, tag: u8, content: &[u8]) {
        self.header(tag, content.len());
        self.octets.extend_from_slice(content);
    }

    /// Appends an element with the given elements inside.
    pub(crate) fn many(&mut self, tag: u8, fill: impl FnOnce(&mut Self)) {
        let mut inside = Self::default();
        fill(&mut inside);
        self.value(tag, &inside.octets);
    }

    /// Appends an `INTEGER` or `ENUMERATED`.
    pub(crate) fn number(&mut self, tag: u8, number: u32) {
        let octets = number.to_be_bytes();
        let zeros = octets.iter().take(3).take_while(|octet| **octet == 0).count();
        let octets = &octets[zeros..];
        if octets[0] < 0x80 {
            self.value(tag, octets);
        } else {
            self.value(tag, &[&[0], octets].concat());
        }
    }

    /// Appends elements that are already encoded.
    pub(crate) fn written(&mut self, elements: &[u8]) {
        self.octets.extend_from_slice(elements);
    }

    fn header(&mut self, tag: u8, length: usize) {
        self.octets.push(tag);
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => self.octets.push(short),
            _ => {
                let octets = length.to_be_bytes();
                let octets = &octets[octets.iter().take_while(|octet| **octet == 0).count()..];
                self.octets.push(0x80 | octets.len() as u8);
                self.octets.extend_from_slice(octets);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_read_in_every_form_that_ldap_allows() {
        let read = |octets: &[u8]| Header::read(octets);
        let header = |size, length| Ok(Some(Header { tag: 4, size, length }));
        assert_eq!(read(&[4, 0]), header(2, 0));
        assert_eq!(read(&[4, 0x7f]), header(2, 127));
        assert_eq!(read(&[4, 0x81, 0x80]), header(3, 128));
        // The form in which Active Directory writes them all.
        assert_eq!(read(&[4, 0x84, 0, 0, 0, 5]), header(6, 5));
        assert_eq!(read(&[4, 0x88, 0, 0, 0, 0, 0, 0, 1, 0]), header(10, 256));
        assert_eq!(read(&[4]), Ok(None));
        assert_eq!(read(&[4, 0x82, 1]), Ok(None));
        assert_eq!(read(&[4, 0x80]), Err(Malformed));
        assert_eq!(read(&[4, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 1]), Err(Malformed));
        assert_eq!(read(&[0x1f, 1]), Err(Malformed));
        let huge = read(&[4, 0x88, 255, 255, 255, 255, 255, 255, 255, 255]).unwrap().unwrap();
        assert_eq!(huge.end(), Err(Malformed));
    }

    #[test]
    fn numbers_outside_the_range_are_refused() {
        assert_eq!(number(&[0]), Ok(0));
        assert_eq!(number(&[0, 0, 0, 0, 0x80]), Ok(128));
        assert_eq!(number(&[0x7f, 0xff, 0xff, 0xff]), Ok(i32::MAX as u32));
        for octets in [&[][..], &[0xff], &[0, 0x80, 0, 0, 0], &[1, 0, 0, 0, 0]] {
            assert_eq!(number(octets), Err(Malformed), "{octets:?}");
        }
    }

    proptest! {
        #[test]
        fn written_elements_are_read_back(value in 0..=i32::MAX as u32, content in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut writer = Writer::default();
            writer.many(tag::SEQUENCE, |inside| {
                inside.number(tag::INTEGER, value);
                inside.value(tag::OCTET_STRING, &content);
            });
            let octets = writer.finish();
            let mut reader = Reader::new(&octets);
            let mut inside = Reader::new(reader.expect(tag::SEQUENCE).unwrap());
            prop_assert_eq!(reader.next(), Ok(None));
            prop_assert_eq!(inside.expect(tag::INTEGER).and_then(number), Ok(value));
            prop_assert_eq!(inside.expect(tag::OCTET_STRING), Ok(&content[..]));
            prop_assert_eq!(inside.next(), Ok(None));
        }
    }
}
