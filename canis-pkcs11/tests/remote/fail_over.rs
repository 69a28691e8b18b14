//! Two servers of one store, one of which is killed.

use crate::host::{Host, configure, log, make_key, with_pin};
use canis_tests::{Postgres, Site};
use std::time::{Duration, Instant};

/// It takes a tenth of that; a busy machine may take longer.
const BOUND: Duration = Duration::from_secs(10);

/// With `keep_pin` a host that signs goes on at the other server, with the same session and the same handle.
#[test]
fn a_host_goes_on_at_the_other_server() {
    let postgres = Postgres::start();
    let first = with_pin(Site::in_database(&postgres));
    let second = first.beside();
    let (a, b) = (first.start().unsealed(), second.start().unsealed());
    let configuration = configure(&first, &[a.addr(), b.addr()], "keep_pin = true");
    make_key(&first, &configuration, "key");
    let mut host = Host::at_work(&first, &configuration);
    assert_eq!(host.does("sign"), 0);
    a.kill();
    let begun = Instant::now();
    assert_eq!(host.does("sign"), 0, "{}", log(&first));
    let took = begun.elapsed();
    println!("a host of the module goes on at the other server after {took:?}");
    assert!(took < BOUND, "{took:?}");
}
