//! Inputs for parsers of foreign data: samples, damaged in the ways in which files, proxies, editors and attackers
//! damage them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};

/// Number of inputs for each target in the ordinary tests; `PROPTEST_CASES` asks for more.
const CASES: u32 = 100;

/// Seed of the ordinary tests, so that they are the same on every machine. `scripts/fuzz` has another for each round.
const SEED: u64 = 20_261_128;

/// Settings of a target: few cases, always the same, unless the environment asks for more.
pub fn few() -> Config {
    let asked = Config::default();
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => asked,
        None => Config { cases: CASES, rng_seed: RngSeed::Fixed(SEED), ..asked },
    }
}

/// Time limit for one input: much longer than any takes, even on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the work on one input, and panics if it exceeds the time limit.
pub fn soon<T>(work: impl FnOnce() -> T) -> T {
    let began = Instant::now();
    let done = work();
    let took = began.elapsed();
    assert!(took < PATIENCE, "one input took {} s", took.as_secs());
    done
}

/// Fails if an error is much longer than the input.
///
/// # Errors
/// It is too long, or says nothing.
pub fn harmless(error: &impl std::fmt::Display, read: usize) -> Result<(), TestCaseError> {
    let shown = error.to_string();
    prop_assert!(!shown.is_empty() && shown.len() <= 8 * read + 4_000, "{} of {read} octets", shown.len());
    Ok(())
}

/// Fails if a displayed text controls a terminal, or disguises its lines.
///
/// # Errors
/// It has a character that does.
pub fn plain(text: &str) -> Result<(), TestCaseError> {
    let harmful = |c: char| {
        let turns = matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || (c.is_control() && !matches!(c, '\n' | '\t'))
    };
    prop_assert!(!text.contains(harmful), "{:?}", text);
    Ok(())
}

/// Line that an error names, if it names one.
pub fn line_in(message: &str) -> Option<usize> {
    let rest = message.split_once(" line ")?.1;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Largest number of kinds of damage to one input.
const MOST: usize = 6;
/// Longest slice that is moved, duplicated or removed.
const LONGEST_SLICE: usize = 64;
/// Largest size that an input grows to.
const LARGEST: usize = 256 * 1024;

/// Kind of damage, with its position and parameters.
#[derive(Clone, Debug)]
enum Damage {
    /// Flips one bit.
    Flip(Index, u8),
    /// Replaces one octet, or one character of a text.
    Replace(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Double(Index, usize),
    Swap(Index, Index, usize),
    /// Cuts off the rest.
    Cut(Index),
    /// Cuts off the beginning.
    Behead(Index),
    /// Continues with another sample from here on.
    Splice(Index, Index, Index),
    /// Inserts unusual or invalid Unicode.
    Odd(Index, Index),
    /// Repeats one octet or slice many times.
    Long(Index, usize, usize),
    /// Repeats an opening many times, possibly with its closing.
    Nest(Index, Index, usize, bool),
    /// Replaces a number.
    Number(Index, Index),
    /// Replaces a quoted word.
    Word(Index, Index),
}

/// Texts that are often mishandled: marks, line ends, characters that change the direction of writing, texts that are long in one
/// form and short in another, and those that end or move a terminal's line.
const ODD: &[&str] = &[
    "\u{0}",
    "\u{1}",
    "\u{7}",
    "\u{1b}[2J",
    "\u{1b}]0;x\u{7}",
    "\u{7f}",
    "\u{85}",
    "\u{9b}1A",
    "\r",
    "\n",
    "\r\n",
    "\n  ",
    "\t",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{2028}",
    "\u{2029}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "e\u{301}\u{301}\u{301}",
    "\u{130}",
    "\u{131}",
    "\u{17f}",
    "\u{1e9e}",
    "\u{fb03}",
    "\u{fdfa}",
    "\u{212a}",
    "\u{661}\u{662}",
    "\u{ff11}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "\\u0000",
    "\\ud800",
    "\\",
    "\"",
    "'",
    "`",
    "%",
    "%00",
    "%zz",
    "&#0;",
    "$(x)",
    "null",
    "true",
    "{}",
    "[]",
    "\"\"",
    "-",
    "=",
    ":",
    ",",
    ";",
    "#",
    "/",
    "*",
    "@",
];

/// Invalid UTF-8.
const NO_TEXT: &[&[u8]] = &[
    b"\xff",
    b"\xfe\xff",
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\x80",
    b"\xe2\x82",
];

/// Pairs of opening and closing.
const PAIRS: &[(&[u8], &[u8])] = &[
    (b"[", b"]"),
    (b"{\"a\":", b"}"),
    (b"{", b"}"),
    (b"(", b")"),
    (b"(!", b")"),
    (b"(&", b")"),
    (b"<", b">"),
    (b"\"", b"\""),
    (b"a.", b""),
    (b"[[", b"]]"),
    (b"{a=", b"}"),
    (b"\\", b""),
    // BER sequences, with zero and indefinite length.
    (b"\x30\x80", b"\0\0"),
    (b"\x30\x84\x7f\xff\xff\xff", b""),
    (b"\x30\x02", b""),
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "1",
    "00000",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
    "0.5",
    "1e3",
    "1e308",
    "1e309",
    "-1e309",
    "1e-400",
    "1.16E+20",
    "0x10",
    "+1",
    "NaN",
    "inf",
    "1_000",
    "1,5",
    "9999-12-31T23:59:59Z",
    "-009999-01-01T00:00:00Z",
];

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    let length = || 1..LONGEST_SLICE;
    prop_oneof![
        3 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        3 => (at(), any::<u8>()).prop_map(|(at, octet)| Damage::Replace(at, octet)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..6)).prop_map(|(at, octets)| Damage::Insert(at, octets)),
        3 => (at(), length()).prop_map(|(at, length)| Damage::Remove(at, length)),
        2 => (at(), length()).prop_map(|(at, length)| Damage::Double(at, length)),
        2 => (at(), at(), length()).prop_map(|(one, other, length)| Damage::Swap(one, other, length)),
        2 => at().prop_map(Damage::Cut),
        1 => at().prop_map(Damage::Behead),
        3 => (at(), at(), at()).prop_map(|(sample, from, to)| Damage::Splice(sample, from, to)),
        4 => (at(), at()).prop_map(|(at, which)| Damage::Odd(at, which)),
        1 => (at(), length(), 1..8_000_usize).prop_map(|(at, length, times)| Damage::Long(at, length, times)),
        1 => (at(), at(), 1..3_000_usize, any::<bool>())
            .prop_map(|(at, pair, times, closed)| Damage::Nest(at, pair, times, closed)),
        4 => (at(), at()).prop_map(|(at, number)| Damage::Number(at, number)),
        3 => (at(), at()).prop_map(|(at, word)| Damage::Word(at, word)),
    ]
}

/// Position in something that may be empty.
fn place(at: Index, length: usize) -> usize {
    at.index(length + 1)
}

/// Slice from a position on, of this length or up to the end.
fn slice(octets: &[u8], at: Index, length: usize) -> std::ops::Range<usize> {
    let from = place(at, octets.len());
    from..(from + length).min(octets.len())
}

fn insert(octets: &mut Vec<u8>, at: Index, more: &[u8]) {
    let at = place(at, octets.len());
    octets.splice(at..at, more.iter().copied());
}

/// Runs of octets of one kind.
fn runs(octets: &[u8], is_one: impl Fn(u8) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in octets.iter().enumerate().filter(|(_, octet)| is_one(**octet)) {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

impl Damage {
    fn happen(&self, octets: &mut Vec<u8>, samples: &[Vec<u8>]) {
        match self {
            Self::Flip(at, bit) => {
                if !octets.is_empty() {
                    let at = at.index(octets.len());
                    octets[at] ^= 1 << bit;
                }
            }
            Self::Replace(at, octet) => {
                if !octets.is_empty() {
                    let at = at.index(octets.len());
                    octets[at] = *octet;
                }
            }
            Self::Insert(at, more) => insert(octets, *at, more),
            Self::Remove(at, length) => {
                octets.drain(slice(octets, *at, *length));
            }
            Self::Double(at, length) => {
                let range = slice(octets, *at, *length);
                let again = octets[range.clone()].to_vec();
                octets.splice(range.end..range.end, again);
            }
            Self::Swap(one, other, length) => {
                let (one, other) = (slice(octets, *one, *length), slice(octets, *other, *length));
                for (one, other) in one.zip(other) {
                    octets.swap(one, other);
                }
            }
            Self::Cut(at) => octets.truncate(place(*at, octets.len())),
            Self::Behead(at) => {
                octets.drain(..place(*at, octets.len()));
            }
            Self::Splice(sample, from, to) => {
                let other = &samples[sample.index(samples.len())];
                octets.truncate(place(*from, octets.len()));
                octets.extend_from_slice(&other[place(*to, other.len())..]);
            }
            Self::Odd(at, which) => match which.index(ODD.len() + NO_TEXT.len()) {
                which if which < ODD.len() => insert(octets, *at, ODD[which].as_bytes()),
                which => insert(octets, *at, NO_TEXT[which - ODD.len()]),
            },
            Self::Long(at, length, times) => {
                let range = slice(octets, *at, 1 + length / 16);
                let many = octets[range.clone()].repeat(*times);
                octets.splice(range, many);
            }
            Self::Nest(at, pair, times, closed) => {
                let (open, close) = PAIRS[pair.index(PAIRS.len())];
                let closes = if *closed { *times } else { 0 };
                insert(octets, *at, &[open.repeat(*times), close.repeat(closes)].concat());
            }
            Self::Number(at, number) => {
                let runs = runs(octets, |octet| octet.is_ascii_digit());
                if !runs.is_empty() {
                    let number = NUMBERS[number.index(NUMBERS.len())];
                    octets.splice(runs[at.index(runs.len())].clone(), number.bytes());
                }
            }
            Self::Word(at, other) => {
                let runs = runs(octets, |octet| octet.is_ascii_alphanumeric() || octet == b'_');
                if !runs.is_empty() {
                    let word = octets[runs[other.index(runs.len())].clone()].to_vec();
                    octets.splice(runs[at.index(runs.len())].clone(), word);
                }
            }
        }
        octets.truncate(LARGEST);
    }
}

/// Sample, damaged or, now and then, intact.
pub fn damaged<S: AsRef<[u8]>>(
    samples: impl IntoIterator<Item = S>,
) -> impl Strategy<Value = Vec<u8>> + Clone {
    let samples: Rc<[Vec<u8>]> = samples.into_iter().map(|sample| sample.as_ref().to_vec()).collect();
    assert!(!samples.is_empty(), "there is something to damage");
    let how = prop::collection::vec(damage(), 0..=MOST);
    let made = move |(sample, how): (Index, Vec<Damage>)| {
        let mut octets = samples[sample.index(samples.len())].clone();
        how.iter().for_each(|damage| damage.happen(&mut octets, &samples));
        octets
    };
    (any::<Index>(), Rc::new(how)).prop_map(made)
}

/// Damaged texts, which stay texts: invalid UTF-8 is replaced.
pub fn damaged_text<S: AsRef<str>>(
    samples: impl IntoIterator<Item = S>,
) -> impl Strategy<Value = String> + Clone {
    let samples: Vec<Vec<u8>> =
        samples.into_iter().map(|sample| sample.as_ref().as_bytes().to_vec()).collect();
    damaged(samples).prop_map(|octets| String::from_utf8_lossy(&octets).into_owned())
}
