//! Links the module so that it is never unmapped: a thread that used it may end after the host's `dlclose`, and its
//! thread-local destructors live in here.

fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo:rerun-if-changed=build.rs");
}
