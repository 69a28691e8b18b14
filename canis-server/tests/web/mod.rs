//! A server that serves HTTP, and curl as its client.
#![allow(dead_code)] // Each test file uses its own part of it.

pub(crate) mod documents;
pub(crate) mod peer;

use crate::harness::{Deployment, Server, stdout};
use serde_json::Value as Json;
use std::process::Command;

/// A deployment whose server serves HTTP, too.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    pub(crate) server: Server,
    /// Where HTTP is.
    pub(crate) address: String,
    metrics: Option<String>,
}

/// What came back.
pub(crate) struct Came {
    pub(crate) status: u16,
    /// The head, as it was.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Came {
    pub(crate) fn json(&self) -> Json {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}: {text}", self.status))
    }

    /// The answer, which must have this status.
    pub(crate) fn with(&self, status: u16) -> Json {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }

    /// The problem's code and status.
    pub(crate) fn problem(&self) -> (u16, String) {
        let json = self.json();
        assert!(self.head.contains("application/problem+json"), "{}", self.head);
        assert_eq!(json["status"], self.status);
        assert!(!json["detail"].as_str().unwrap().is_empty());
        (self.status, json["code"].as_str().unwrap().to_owned())
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        Site::with(&[])
    }

    /// The same with further flags of the server.
    pub(crate) fn with(flags: &[&str]) -> Self {
        let site = Site::of(Deployment::with_keyfile(), flags);
        assert_eq!(site.server.line(), "unsealed", "{}", site.server.log());
        site
    }

    /// One that stays sealed: its key file is gone.
    pub(crate) fn sealed(flags: &[&str]) -> Self {
        let deployment = Deployment::with_keyfile();
        let key = deployment.folder.path().join("root.key");
        std::fs::rename(&key, deployment.folder.path().join("kept")).unwrap();
        let site = Site::of(deployment, flags);
        let line = site.server.line();
        assert!(line.starts_with("sealed: "), "{line}");
        site
    }

    fn of(deployment: Deployment, flags: &[&str]) -> Self {
        let server = deployment.start_with(&[&["--http", "127.0.0.1:0"], flags].concat());
        let line = server.line();
        let address =
            line.strip_prefix("listening for HTTP on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        let metrics = flags.contains(&"--metrics").then(|| {
            let line = server.line();
            line.strip_prefix("listening for metrics on ").unwrap_or_else(|| panic!("{line}")).to_owned()
        });
        Site { deployment, server, address, metrics }
    }

    /// Where metrics are told plainly.
    pub(crate) fn metrics(&self) -> &str {
        self.metrics.as_deref().unwrap()
    }

    /// Asks by curl, as whoever `arguments` say.
    pub(crate) fn curl(&self, method: &str, path: &str, arguments: &[&str]) -> Came {
        self.curl_at(&format!("https://{}", self.address), method, path, arguments)
    }

    /// The same, elsewhere.
    pub(crate) fn curl_at(&self, at: &str, method: &str, path: &str, arguments: &[&str]) -> Came {
        let folder = tempfile::tempdir().unwrap();
        let (head, body) = (folder.path().join("head"), folder.path().join("body"));
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--path-as-is",
                "--request",
                method,
                "--write-out",
                "%{http_code}",
            ])
            .arg("--cacert")
            .arg(self.deployment.ca())
            .arg("--dump-header")
            .arg(&head)
            .arg("--output")
            .arg(&body)
            .args(arguments)
            .arg(format!("{at}{path}"))
            .output()
            .unwrap();
        let status = stdout(&output).parse().unwrap();
        let head = std::fs::read_to_string(head).unwrap().to_ascii_lowercase();
        Came { status, head, body: std::fs::read(body).unwrap_or_default() }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.deployment.token)
    }

    /// Asks as the administrator; an empty body sends none.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Came {
        let bearer = self.bearer();
        let mut arguments = vec!["--header", &bearer];
        if !body.is_empty() {
            arguments.extend(["--header", "Content-Type: application/json", "--data-binary", body]);
        }
        self.curl(method, path, &arguments)
    }

    /// The same with further arguments of curl.
    pub(crate) fn ask_with(&self, method: &str, path: &str, more: &[&str]) -> Came {
        let bearer = self.bearer();
        self.curl(method, path, &[&["--header", &bearer], more].concat())
    }
}
