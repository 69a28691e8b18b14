//! Links the module so that it is never unmapped: a thread that used it may end after the host's `dlclose`, and its
//! thread-local destructors live in here. And so that nothing of it runs when the process ends (`exit.ld` says why).

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-T,{directory}/exit.ld");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=exit.ld");
}
