//! The D-Bus wire format, as far as the Secret Service needs it ("D-Bus Specification": "Marshaling (Wire Format)").
//!
//! A message and its body both begin at a multiple of eight octets, so that each is aligned by itself.

/// Alignment of structures and entries of dictionaries.
pub(super) const STRUCTURE: usize = 8;

/// Values one after another, in little-endian order.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Pads to a multiple of `to`.
    pub(super) fn align(&mut self, to: usize) -> &mut Self {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self
    }

    pub(super) fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// A number (`u`), or a truth value (`b`), which is the number 0 or 1.
    pub(super) fn number(&mut self, value: u32) -> &mut Self {
        self.align(4).raw(&value.to_le_bytes())
    }

    /// A text (`s`) or the path of an object (`o`).
    pub(super) fn text(&mut self, value: &str) -> &mut Self {
        self.number(length_of(value.len())).raw(value.as_bytes()).byte(0)
    }

    /// The signature of what follows (`g`).
    pub(super) fn signature(&mut self, value: &str) -> &mut Self {
        self.byte(u8::try_from(value.len()).unwrap_or(u8::MAX)).raw(value.as_bytes()).byte(0)
    }

    /// Octets (`ay`).
    pub(super) fn octets(&mut self, value: &[u8]) -> &mut Self {
        self.number(length_of(value.len())).raw(value)
    }

    /// An array whose elements begin at a multiple of `alignment`.
    pub(super) fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Self)) -> &mut Self {
        self.number(0);
        let length_ends = self.0.len();
        self.align(alignment);
        let begin = self.0.len();
        elements(self);
        let length = length_of(self.0.len() - begin).to_le_bytes();
        self.0[length_ends - length.len()..length_ends].copy_from_slice(&length);
        self
    }

    /// What was written so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Octets as they are.
    pub(super) fn raw(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(value);
        self
    }
}

/// No message may have as much: one that does is refused by the bus.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Order of the octets of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    /// By the first octet of a message.
    pub(super) fn of(mark: u8) -> Result<Self, Malformed> {
        match mark {
            b'l' => Ok(Self::Little),
            b'B' => Ok(Self::Big),
            _ => Err(Malformed),
        }
    }
}

/// What was sent is no D-Bus message, or not the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Values that are read one after another.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    order: Order,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8], order: Order) -> Self {
        Self { bytes, at: 0, order }
    }

    /// Skips to a multiple of `to`.
    pub(super) fn align(&mut self, to: usize) -> Result<(), Malformed> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding).map(|_| ())
    }

    pub(super) fn byte(&mut self) -> Result<u8, Malformed> {
        let [byte] = self.fixed()?;
        Ok(byte)
    }

    /// A number (`u`), or a truth value (`b`), which is the number 0 or 1.
    pub(super) fn number(&mut self) -> Result<u32, Malformed> {
        self.align(4)?;
        let bytes = self.fixed()?;
        Ok(match self.order {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        })
    }

    /// A text (`s`) or the path of an object (`o`).
    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        self.terminated(length)
    }

    /// The signature of what follows (`g`).
    pub(super) fn signature(&mut self) -> Result<&'a str, Malformed> {
        let length = usize::from(self.byte()?);
        self.terminated(length)
    }

    /// Octets (`ay`).
    pub(super) fn octets(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.length()?;
        self.take(length)
    }

    /// Texts or paths (`as`, `ao`).
    pub(super) fn texts(&mut self) -> Result<Vec<&'a str>, Malformed> {
        let mut elements = self.array(4)?;
        let mut texts = Vec::new();
        while !elements.is_done() {
            texts.push(elements.text()?);
        }
        Ok(texts)
    }

    /// The elements of an array, which begin at a multiple of `alignment`.
    pub(super) fn array(&mut self, alignment: usize) -> Result<Self, Malformed> {
        let length = self.length()?;
        self.align(alignment)?;
        let at = self.at;
        self.take(length)?;
        Ok(Self { bytes: &self.bytes[..self.at], at, order: self.order })
    }

    /// Whether all was read.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).map_err(|_| Malformed)
    }

    fn terminated(&mut self, length: usize) -> Result<&'a str, Malformed> {
        let text = self.take(length)?;
        match self.byte()? {
            0 => std::str::from_utf8(text).map_err(|_| Malformed),
            _ => Err(Malformed),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed)?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed)?;
        self.at = end;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_aligned_as_the_specification_says() {
        let mut body = Writer::default();
        body.byte(7).text("ab").array(STRUCTURE, |array| {
            array.align(STRUCTURE).text("k").text("v");
        });
        let expected = [
            7, 0, 0, 0, 2, 0, 0, 0, b'a', b'b', 0, 0, // a byte, and a text at a multiple of four
            14, 0, 0, 0, // the array's length, without what is before its first element
            1, 0, 0, 0, b'k', 0, 0, 0, 1, 0, 0, 0, b'v', 0,
        ];
        assert_eq!(body.bytes(), expected);
    }

    #[test]
    fn what_was_written_is_read_in_either_order() {
        let mut body = Writer::default();
        body.number(5).signature("ao").octets(b"xyz").array(4, |array| {
            array.text("/a").text("/bc");
        });
        let mut reader = Reader::new(body.bytes(), Order::Little);
        assert_eq!((reader.number(), reader.signature()), (Ok(5), Ok("ao")));
        assert_eq!((reader.octets(), reader.texts()), (Ok(b"xyz".as_slice()), Ok(vec!["/a", "/bc"])));
        assert!(reader.is_done());
        let big = [0, 0, 0, 1, b'x', 0];
        assert_eq!(Reader::new(&big, Order::Big).text(), Ok("x"));
    }

    #[test]
    fn no_length_leads_beyond_the_end() {
        for length in [2_u32, 1 << 20, u32::MAX] {
            let bytes = [&length.to_le_bytes()[..], b"x\0"].concat();
            let mut reader = Reader::new(&bytes, Order::Little);
            assert_eq!(reader.clone().text(), Err(Malformed));
            assert_eq!(reader.clone().texts(), Err(Malformed));
            assert_eq!(reader.array(STRUCTURE).map(|_| ()), Err(Malformed));
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_is_sent_ends_the_program(bytes: Vec<u8>, order: bool) {
            let order = if order { Order::Little } else { Order::Big };
            let mut reader = Reader::new(&bytes, order);
            let _ = (reader.clone().texts(), reader.clone().signature(), reader.clone().octets());
            while reader.array(STRUCTURE).is_ok() {}
        }
    }
}
