//! `canis tls`: the server's certificate, renewed by the CA whose key the store keeps.

use crate::certificates::{self, CA_KEY, Renewal};
use crate::tls_args::Renew;
use crate::{files, local, show};
use canis_core::datadir::DataDir;
use canis_proto::{Error, ErrorCode, Result};
use serde_json::json;

pub(crate) fn renew(args: &Renew, json: bool) -> Result<()> {
    let dir = DataDir::new(&args.place.data);
    if dir.is_locked() {
        return Err(Error::new(
            ErrorCode::StoreLocked,
            format!(
                "{} is held by a running canis-server, whose store has the CA's key; stop it, renew, and start it again",
                dir.path().display()
            ),
        ));
    }
    let _lock = dir.share()?;
    // What stands in the way without the store is told before its root is asked for.
    let renewal = Renewal::of(&dir)?;
    let core = local::open(&args.place)?;
    let authority = core.kept_secret(&core.operator().from(local::origin()), CA_KEY, "tls.renew")?;
    let made = renewal.make(authority.as_ref(), &args.tls_name, args.days)?;
    let certificate = dir.cert_path();
    certificates::replace(&certificate, made.pem.as_bytes())?;
    let until = show::time(made.ends_at.saturating_mul(1_000_000));
    if json {
        return show::json(&json!({"certificate": certificate, "names": made.names, "until": until}));
    }
    let text = format!(
        "{}: for {}, until {until}\nA server that runs on copies of it takes it up by `systemctl reload canis-server` (SIGHUP).\n",
        certificate.display(),
        made.names.join(", "),
    );
    files::print(text.as_bytes())
}
