//! X.509 certificates (RFC 5280, section 4.1), taken apart as far as PKCS#11 shows them. Nothing is verified here: that
//! is for whoever trusts one.

use super::{bounded, certificate_names, pem};
use crate::crypto::public_parts::PublicParts;
use canis_proto::{Error, Result};
use der::asn1::{GeneralizedTime, UtcTime};
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
    /// From when and until when it is good: a SEQUENCE of two times.
    pub dates: Vec<u8>,
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

    /// Reads one certificate, DER.
    ///
    /// # Errors
    /// `invalid_argument` for what is no certificate of RFC 5280.
    pub fn from_der(der: &[u8]) -> Result<Self> {
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
        let dates = tagged(&mut signed, Tag::Sequence)?;
        let subject = tagged(&mut signed, Tag::Sequence)?;
        let spki = tagged(&mut signed, Tag::Sequence)?;
        let extensions = extensions(&mut signed)?;
        Ok(Certificate { der: bytes.to_vec(), subject, issuer, serial, dates, spki, extensions })
    }

    /// When it ends, in seconds since 1970 (RFC 5280, section 4.1.2.5).
    ///
    /// # Errors
    /// `invalid_argument` for dates that cannot be read.
    pub fn ends_at(&self) -> Result<u64> {
        self.second_date().map_err(|_| refused("its dates cannot be read"))
    }

    fn second_date(&self) -> der::Result<u64> {
        let mut dates = SliceReader::new(&self.dates)?;
        Header::decode(&mut dates)?.tag().assert_eq(Tag::Sequence)?;
        dates.tlv_bytes()?;
        let end = match Tag::peek(&dates)? {
            Tag::UtcTime => UtcTime::decode(&mut dates)?.to_unix_duration(),
            _ => GeneralizedTime::decode(&mut dates)?.to_unix_duration(),
        };
        dates.finish()?;
        Ok(end.as_secs())
    }

    /// The names of a server that it is for: hosts and addresses (RFC 5280, section 4.2.1.6; RFC 9525).
    ///
    /// # Errors
    /// `invalid_argument` for names that cannot be read in one way.
    pub fn server_names(&self) -> Result<Vec<String>> {
        certificate_names::server_names(self).map_err(|_| refused("its alternative names cannot be read"))
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

    /// Both forms of a time, and what is none.
    #[test]
    fn when_it_ends() {
        let ending = |tag, time: &[u8]| {
            let begin = element(0x17, &[b"700101000000Z"]);
            let dates = element(0x30, &[&begin, &element(tag, &[time])]);
            Certificate { dates, ..Certificate::read(&certificate(&[2, 1, 7])).unwrap() }.ends_at()
        };
        assert_eq!(ending(0x17, b"491231235959Z").unwrap(), 2_524_607_999);
        assert_eq!(ending(0x18, b"20500101000000Z").unwrap(), 2_524_608_000);
        for (tag, time) in [(0x17, &b"491331235959Z"[..]), (0x18, b"2050"), (0x04, b"491231235959Z")] {
            assert!(ending(tag, time).is_err(), "{tag} {time:?}");
        }
        assert!(Certificate::read(&certificate(&[2, 1, 7])).unwrap().ends_at().is_err(), "no dates");
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
