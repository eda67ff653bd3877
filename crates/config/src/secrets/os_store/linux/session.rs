//! Secrets on their way over the bus: a key that both sides agree on, and AES-128 in CBC ("Secret Service API": "Transfer of
//! Secrets", `dh-ietf1024-sha256-aes128-cbc-pkcs7`).

use aes::Aes128;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut as _, BlockEncryptMut as _, KeyIvInit as _};
use hkdf::Hkdf;
use num_bigint::BigUint;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Its name at the service.
pub(super) const ALGORITHM: &str = "dh-ietf1024-sha256-aes128-cbc-pkcs7";
/// RFC 2409, section 6.2: "Second Oakley Group".
const PRIME: &[u8] = b"FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6\
49286651ECE65381FFFFFFFFFFFFFFFF";
const GENERATOR: u32 = 2;
/// Octets of a number of the group.
const GROUP: usize = 128;

/// Our half of the agreement.
pub(super) struct Half {
    private: BigUint,
    prime: BigUint,
}

impl Half {
    /// Chooses a private number.
    pub(super) fn chosen() -> Result<Self, getrandom::Error> {
        let mut private = Zeroizing::new([0; GROUP]);
        getrandom::fill(&mut *private)?;
        let prime = BigUint::parse_bytes(PRIME, 16).unwrap_or_default();
        Ok(Self { private: BigUint::from_bytes_be(&*private), prime })
    }

    /// What the other side is told.
    pub(super) fn public(&self) -> Vec<u8> {
        BigUint::from(GENERATOR).modpow(&self.private, &self.prime).to_bytes_be()
    }

    /// The key, by what the other side told.
    pub(super) fn agreed(self, theirs: &[u8]) -> Key {
        let shared = BigUint::from_bytes_be(theirs).modpow(&self.private, &self.prime);
        let digits = Zeroizing::new(shared.to_bytes_be());
        let mut padded = Zeroizing::new([0; GROUP]);
        padded[GROUP.saturating_sub(digits.len())..].copy_from_slice(&digits);
        let mut key = Zeroizing::new([0; 16]);
        // Fails only for more than 8,160 octets.
        let _ = Hkdf::<Sha256>::new(None, &*padded).expand(&[], &mut *key);
        Key(key)
    }
}

/// Key of a session.
pub(super) struct Key(Zeroizing<[u8; 16]>);

/// Secret as it goes over the bus.
pub(super) struct Sealed {
    /// Chosen for each secret.
    pub(super) vector: [u8; 16],
    pub(super) value: Vec<u8>,
}

impl Key {
    pub(super) fn seal(&self, secret: &[u8]) -> Result<Sealed, getrandom::Error> {
        let mut vector = [0; 16];
        getrandom::fill(&mut vector)?;
        let cipher = cbc::Encryptor::<Aes128>::new((&*self.0).into(), &vector.into());
        Ok(Sealed { vector, value: cipher.encrypt_padded_vec_mut::<Pkcs7>(secret) })
    }

    /// The secret, if it was sealed with this key.
    pub(super) fn open(&self, vector: &[u8], value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(&*self.0, vector).ok()?;
        cipher.decrypt_padded_vec_mut::<Pkcs7>(value).ok().map(Zeroizing::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_agree_on_a_key() {
        let (one, other) = (Half::chosen().unwrap(), Half::chosen().unwrap());
        let (public, others) = (one.public(), other.public());
        let (one, other) = (one.agreed(&others), other.agreed(&public));
        let sealed = one.seal(b"secret").unwrap();
        assert_ne!(sealed.value, b"secret");
        assert_eq!(other.open(&sealed.vector, &sealed.value).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn what_was_sealed_otherwise_is_not_opened() {
        let key = Half::chosen().unwrap().agreed(&[3]);
        let sealed = key.seal(b"secret").unwrap();
        assert!(key.open(&sealed.vector[1..], &sealed.value).is_none());
        assert!(key.open(&sealed.vector, &sealed.value[1..]).is_none());
    }

    #[test]
    fn a_number_with_zeros_before_it_is_as_long_as_the_group() {
        // To the power of anything the same number, which has one digit.
        let key = Half::chosen().unwrap().agreed(&[1]);
        let mut padded = [0; GROUP];
        padded[GROUP - 1] = 1;
        let mut expected = [0; 16];
        Hkdf::<Sha256>::new(None, &padded).expand(&[], &mut expected).unwrap();
        assert_eq!(*key.0, expected);
    }
}
