//! The `openssl` program in a directory of its own.

use canis_proto::KeyType;
use std::path::PathBuf;
use std::process::Command;

/// A directory of its own for one test, and `openssl` running in it.
pub(crate) struct Bench(tempfile::TempDir);

impl Bench {
    /// An empty one.
    pub(crate) fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file there.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Reads a file there.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `openssl` with the words of `line`; says whether it succeeded, and what it printed.
    pub(crate) fn try_openssl(&self, line: &str) -> (bool, String) {
        let output =
            Command::new("openssl").args(line.split_whitespace()).current_dir(&self.0).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs `openssl`, which must succeed; what it printed.
    pub(crate) fn openssl(&self, line: &str) -> String {
        let (success, text) = self.try_openssl(line);
        assert!(success, "openssl {line}\n{text}");
        text
    }

    /// Runs another program there, which must succeed.
    pub(crate) fn run(&self, program: &str, line: &str) {
        let output =
            Command::new(program).args(line.split_whitespace()).current_dir(&self.0).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{program} {line}\n{}", String::from_utf8_lossy(&text));
    }

    /// A key pair by `openssl genpkey` in key.der (PKCS#8) and pub.der.
    pub(crate) fn genpkey(&self, kind: KeyType) -> (Vec<u8>, Vec<u8>) {
        let algorithm = match kind {
            KeyType::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
            KeyType::Rsa3072 => "RSA -pkeyopt rsa_keygen_bits:3072",
            KeyType::Rsa4096 => "RSA -pkeyopt rsa_keygen_bits:4096",
            KeyType::EcdsaP256 => "EC -pkeyopt ec_paramgen_curve:P-256",
            KeyType::EcdsaP384 => "EC -pkeyopt ec_paramgen_curve:P-384",
            KeyType::EcdsaP521 => "EC -pkeyopt ec_paramgen_curve:P-521",
            KeyType::EcdsaSecp256k1 => "EC -pkeyopt ec_paramgen_curve:secp256k1",
            KeyType::X25519 => "X25519",
            _ => "ED25519",
        };
        self.genpkey_as(algorithm)
    }

    /// The same with the words of the algorithm.
    pub(crate) fn genpkey_as(&self, algorithm: &str) -> (Vec<u8>, Vec<u8>) {
        // `genpkey -outform DER` would write the older form of the algorithm, its PEM is PKCS#8.
        self.openssl(&format!("genpkey -algorithm {algorithm} -out key.pem"));
        self.openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
        self.openssl("pkey -inform DER -in key.der -pubout -outform DER -out pub.der");
        (self.read("key.der"), self.read("pub.der"))
    }
}
