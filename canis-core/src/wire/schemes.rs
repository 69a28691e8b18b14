//! How keys are used: signatures, MACs, ciphers, wrappings and derivations.

use super::form::{Form, Place, choice, record, words};
use crate::crypto::derive::{Field, Width};
use crate::crypto::{BLOCK, BlockMode, Hash, Iv, Oaep, SignScheme};
use crate::object::{
    CipherScheme, Derivation, Derived, GcmIv, Inside, MacScheme, MacWith, PostQuantumUse, Prf, Salt,
    SignWith, Wrapping,
};
use canis_proto::schema::FieldKind;
use canis_proto::value::Value;
use canis_proto::{Family, Result};

words! {
    Hash {
        "sha1" => Hash::Sha1,
        "sha224" => Hash::Sha224,
        "sha256" => Hash::Sha256,
        "sha384" => Hash::Sha384,
        "sha512" => Hash::Sha512,
        "sha3-224" => Hash::Sha3_224,
        "sha3-256" => Hash::Sha3_256,
        "sha3-384" => Hash::Sha3_384,
        "sha3-512" => Hash::Sha3_512,
        "md5" => Hash::Md5,
    }
    Family {
        "aes" => Family::Aes,
        "rsa" => Family::Rsa,
        "ec" => Family::Ec,
        "edwards" => Family::Edwards,
        "montgomery" => Family::Montgomery,
        "generic" => Family::Generic,
        "des" => Family::Des,
        "des3" => Family::TripleDes,
        "ml-dsa" => Family::MlDsa,
        "ml-kem" => Family::MlKem,
        "slh-dsa" => Family::SlhDsa,
        "hybrid" => Family::Hybrid,
    }
}

choice! {
    SignScheme {
        "rsa-pkcs1" => RsaPkcs1;
        "rsa-pss" => RsaPss { hash, mgf, salt };
        "ecdsa" => Ecdsa;
        "ed25519" => Ed25519;
        "rsa-raw" => RsaRaw;
        "ml-dsa" => MlDsa;
        "slh-dsa" => SlhDsa;
    }
    SignWith<'a> {
        "pair" => Pair(scheme);
        "mac" => Mac(scheme);
        "ml-dsa" => MlDsa(how);
        "slh-dsa" => SlhDsa(how);
    }
    MacWith {
        "hmac" => Hmac(hash);
        "cmac" => Cmac(family);
    }
    CipherScheme<'a> {
        "aes-gcm" => AesGcm { iv, aad };
        "aes-gcm-sized" => AesGcmSized { iv, aad, tag };
        "aes-ccm" => AesCcm { nonce, aad, tag };
        "blocks" => Blocks(mode);
        "rsa-oaep" => RsaOaep(oaep);
        "rsa-pkcs1" => RsaPkcs1;
        "rsa-raw" => RsaRaw;
    }
    BlockMode {
        "ecb" => Ecb;
        "cbc" => Cbc { iv };
        "cbc-pad" => CbcPad { iv };
        "ctr" => Ctr { counter, bits };
    }
    Wrapping<'a> {
        "aes-kw" => AesKw;
        "aes-kwp" => AesKwp;
        "aes-gcm" => AesGcm { iv, aad, tag };
        "aes-cbc-pad" => AesCbcPad { iv };
        "rsa-oaep" => RsaOaep(oaep);
        "rsa-aes" => RsaAes { bits, oaep };
        "rsa-pkcs1" => RsaPkcs1;
        "aes-ccm" => AesCcm { nonce, aad, tag };
    }
    GcmIv<'a> {
        "drawn" => Drawn;
        "given" => Given(iv);
    }
    Inside {
        "secret" => Secret { family, len };
        "private" => Private(family);
    }
    Derivation<'a> {
        "agree" => Agree { peer, kdf, shared };
        "hkdf" => Hkdf { hash, extract, expand };
        "counter" => Counter { prf, fields };
        "join-key" => JoinKey(other);
        "join-data" => JoinData(data);
        "join-after" => JoinAfter(data);
        "xor" => Xor(data);
        "extract" => Extract(bit);
    }
    Salt<'a> {
        "bytes" => Bytes(bytes);
        "key" => Key(other);
    }
    Prf {
        "hmac" => Hmac(hash);
        "cmac" => Cmac;
    }
    Field<'a> {
        "counter" => Counter(width);
        "bytes" => Bytes(bytes);
        "length" => Length(width);
    }
    Derived {
        "secret" => Secret { family, len };
        "data" => Data { len };
    }
}

record! {
    MacScheme { with, len }
    PostQuantumUse<'a> { hash, context, deterministic }
    Oaep<'a> { hash, mgf, label }
    Width { bits, little_endian }
}

impl<'a> Form<'a> for Iv {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(self.as_slice())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let bytes = <&'a [u8]>::read(place, value)?;
        [8, BLOCK]
            .into_iter()
            .find_map(|block| Iv::for_block(block, bytes))
            .ok_or_else(|| place.must_be("8 or 16 bytes"))
    }
}
