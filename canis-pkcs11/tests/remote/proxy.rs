//! A cable between module and server that can be cut after so many bytes.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

/// Without an end.
const ENDLESS: i64 = i64::MAX;

/// The cable. Its threads end with the test's process.
pub(crate) struct Proxy {
    pub(crate) addr: String,
    /// How many more bytes go through, in both directions together, before it is cut.
    left: Arc<AtomicI64>,
    cuts: Arc<AtomicUsize>,
}

impl Proxy {
    /// A cable to `server`.
    pub(crate) fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let (left, cuts, server) =
            (Arc::new(AtomicI64::new(ENDLESS)), Arc::new(AtomicUsize::new(0)), server.to_owned());
        let (budget, counted) = (Arc::clone(&left), Arc::clone(&cuts));
        std::thread::spawn(move || {
            for module in listener.incoming().map_while(Result::ok) {
                let Ok(there) = TcpStream::connect(&server) else { continue };
                for (from, to) in [(&module, &there), (&there, &module)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (budget, counted) = (Arc::clone(&budget), Arc::clone(&counted));
                    std::thread::spawn(move || pass(from, to, &budget, &counted));
                }
            }
        });
        Proxy { addr, left, cuts }
    }

    /// Cuts the cable once after `bytes` more; what is connected afterwards stays.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.left.store(bytes, Ordering::SeqCst);
    }

    /// How often it was cut.
    pub(crate) fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, left: &AtomicI64, cuts: &AtomicUsize) {
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        let had = match left.load(Ordering::SeqCst) {
            ENDLESS => ENDLESS,
            _ => left.fetch_sub(count as i64, Ordering::SeqCst),
        };
        if had < count as i64 {
            let rest = usize::try_from(had).unwrap_or(0).min(count);
            let _ = to.write_all(&bytes[..rest]);
            left.store(ENDLESS, Ordering::SeqCst);
            cuts.fetch_add(1, Ordering::SeqCst);
            break;
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}
