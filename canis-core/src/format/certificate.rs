//! X.509 certificates (RFC 5280, section 4.1), taken apart as far as PKCS#11 shows them. Nothing is verified here: that
//! is for whoever trusts one.

use super::{bounded, pem};
use crate::crypto::public_parts::PublicParts;
use canis_proto::{Error, Result};
use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

/// A certificate; the names and the number are DER with their headers, as CKA_SUBJECT and its like hold them.
#[derive(Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The whole, DER.
    pub der: Vec<u8>,
    /// Name of whose key it certifies.
    pub subject: Vec<u8>,
    /// Name of who signed it.
    pub issuer: Vec<u8>,
    /// Its number among those of its issuer: an INTEGER.
    pub serial: Vec<u8>,
    /// The certified key, SubjectPublicKeyInfo DER.
    pub spki: Vec<u8>,
    /// Its extensions: a SEQUENCE OF Extension.
    pub extensions: Option<Vec<u8>>,
}

impl Certificate {
    /// Reads the one certificate in a file, PEM or DER; keys and parameters beside it are passed over.
    ///
    /// # Errors
    /// `too_large`; `invalid_argument` for what is no certificate of RFC 5280, or for more than one.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        bounded(bytes)?;
        if !pem::is_pem(bytes) {
            return Self::from_der(bytes);
        }
        let mut blocks = pem::decode(bytes)?;
        blocks.retain(|block| block.label == "CERTIFICATE");
        match &blocks[..] {
            [one] => Self::from_der(one.der.expose()),
            others => Err(refused(&format!("the file holds {} certificates, not one", others.len()))),
        }
    }

    fn from_der(der: &[u8]) -> Result<Self> {
        Self::taken_apart(der).map_err(|_| refused("it is not DER of X.509"))
    }

    fn taken_apart(bytes: &[u8]) -> der::Result<Self> {
        let inside = |tlv: &mut SliceReader<'_>| -> der::Result<()> {
            Header::decode(tlv)?.tag().assert_eq(Tag::Sequence).map(drop)
        };
        let mut file = SliceReader::new(bytes)?;
        let mut whole = SliceReader::new(file.tlv_bytes()?)?;
        file.finish()?;
        inside(&mut whole)?;
        let mut signed = SliceReader::new(whole.tlv_bytes()?)?;
        for last in [Tag::Sequence, Tag::BitString] {
            tagged(&mut whole, last)?;
        }
        whole.finish()?;
        inside(&mut signed)?;
        let version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
        if Tag::peek(&signed)? == version {
            signed.tlv_bytes()?;
        }
        let serial = tagged(&mut signed, Tag::Integer)?;
        tagged(&mut signed, Tag::Sequence)?; // the signature's algorithm
        let issuer = tagged(&mut signed, Tag::Sequence)?;
        tagged(&mut signed, Tag::Sequence)?; // the dates
        let subject = tagged(&mut signed, Tag::Sequence)?;
        let spki = tagged(&mut signed, Tag::Sequence)?;
        let extensions = extensions(&mut signed)?;
        Ok(Certificate { der: bytes.to_vec(), subject, issuer, serial, spki, extensions })
    }

    /// Whether it certifies the key of this SubjectPublicKeyInfo, however either is encoded.
    #[must_use]
    pub fn certifies(&self, spki: &[u8]) -> bool {
        let parts = |spki| PublicParts::from_spki(spki).ok();
        self.spki == spki || parts(&self.spki).is_some_and(|own| parts(spki) == Some(own))
    }
}

/// The extensions behind a certificate's key, past identifiers that nobody uses.
fn extensions(reader: &mut SliceReader<'_>) -> der::Result<Option<Vec<u8>>> {
    let wanted = Tag::ContextSpecific { constructed: true, number: TagNumber(3) };
    while !reader.is_finished() {
        let (tag, element) = (Tag::peek(reader)?, reader.tlv_bytes()?);
        if tag == wanted {
            let mut inside = SliceReader::new(element)?;
            Header::decode(&mut inside)?;
            return tagged(&mut inside, Tag::Sequence).map(Some);
        }
    }
    Ok(None)
}

/// The next element, header and all, which must have this tag.
fn tagged(reader: &mut SliceReader<'_>, tag: Tag) -> der::Result<Vec<u8>> {
    Tag::peek(reader)?.assert_eq(tag)?;
    reader.tlv_bytes().map(<[u8]>::to_vec)
}

fn refused(why: &str) -> Error {
    Error::invalid(format!("the certificate is refused: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, inside: &[&[u8]]) -> Vec<u8> {
        let inside = inside.concat();
        [&[tag, u8::try_from(inside.len()).unwrap()][..], &inside].concat()
    }

    /// The parts of a certificate in their order; dates and algorithms are empty here, as nothing looks into them.
    fn certificate(serial: &[u8]) -> Vec<u8> {
        let (empty, name) = (element(0x30, &[]), element(0x30, &[&[5, 0]]));
        let version = element(0xa0, &[&[2, 1, 2]]);
        let signed = [&version[..], serial, &empty, &empty, &empty, &name, &element(0x30, &[&name])].concat();
        element(0x30, &[&element(0x30, &[&signed]), &empty, &[3, 2, 0, 1]])
    }

    #[test]
    fn taken_apart_and_only_whole() {
        let der = certificate(&[2, 1, 7]);
        let read = Certificate::read(&der).unwrap();
        assert_eq!((&read.serial[..], &read.subject[..]), (&[2, 1, 7][..], &[0x30, 2, 5, 0][..]));
        assert_eq!((&read.issuer[..], &read.spki[..]), (&[0x30, 0][..], &[0x30, 4, 0x30, 2, 5, 0][..]));
        assert_eq!(Certificate::read(pem::encode("CERTIFICATE", &der).as_bytes()).unwrap(), read);
        for len in 0..der.len() {
            assert!(Certificate::read(&der[..len]).is_err(), "{len} bytes");
        }
        assert!(Certificate::read(&[&der[..], &[0]].concat()).is_err(), "a byte too many");
        assert!(Certificate::read(&certificate(&[4, 1, 7])).is_err(), "a number that is none");
        let twice = pem::encode("CERTIFICATE", &der).repeat(2);
        assert!(Certificate::read(twice.as_bytes()).unwrap_err().message.contains("2 certificates"));
    }
}
