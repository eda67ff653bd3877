//! The files in contrib/ and packaging/image/, which go by names of this program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{is_root, vendor_clients};

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Charts, manifests and roles are checked by the tools of their fields, and their commands by the program: see the script.
#[test]
fn contributed_files_go_by_what_the_program_has() {
    let tools = vendor_clients();
    let mut check = Command::new(tools.join("python/bin/python"));
    check.arg(project().join("scripts/check-contrib")).arg(env!("CARGO_BIN_EXE_bwdc")).arg(&tools);
    let done = check.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&[done.stdout, done.stderr].concat()));
}

fn build(out: &Path, binary: &str) -> (bool, String) {
    let mut build = Command::new(project().join("packaging/image/build"));
    let done = build.arg(out).arg(binary).env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap();
    (done.status.success(), String::from_utf8_lossy(&done.stderr).into_owned())
}

fn compiled(folder: &Path, name: &str, options: &[&str]) -> PathBuf {
    let source = folder.join("program.c");
    fs::write(&source, "int main(void) { return 0; }\n").unwrap();
    let program = folder.join(name);
    let done = Command::new("cc").args(options).arg("-o").arg(&program).arg(&source).status().unwrap();
    assert!(done.success());
    program
}

/// With a program that takes no minutes to build. `packaging/image/test` runs an image of the real one.
#[test]
fn an_image_has_the_same_bytes_each_time() {
    if !is_root("build an image with this machine's own storage") {
        return;
    }
    let folder = TempDir::new().unwrap();
    let name = format!("bwdc-{}-image.tar", env!("CARGO_PKG_VERSION"));
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let of = |program: PathBuf| format!("{machine}={}", program.display());
    let program = of(compiled(folder.path(), "static", &["-static"]));
    let images = ["one", "two"].map(|out| {
        let out = folder.path().join(out);
        let (built, said) = build(&out, &program);
        assert!(built, "{said}");
        fs::read(out.join(&name)).unwrap()
    });
    assert!(images[0] == images[1], "the second image has other bytes");
    let (built, said) = build(&folder.path().join("three"), &of(compiled(folder.path(), "dynamic", &[])));
    assert!(!built && said.contains("is not static"), "{said}");
}
