# The program, from the source that this file is in. Its tests need servers that run, so that they are not run here.
{
  lib,
  rustPlatform,
  installShellFiles,
}:
let
  source = ../..;
  manifest = lib.importTOML (source + "/Cargo.toml");
in
rustPlatform.buildRustPackage {
  pname = "bwdc";
  inherit (manifest.workspace.package) version;
  src = lib.cleanSource source;
  cargoLock.lockFile = source + "/Cargo.lock";
  cargoBuildFlags = [
    "--package"
    "bwdc"
  ];
  buildType = "dist";
  doCheck = false;
  nativeBuildInputs = [ installShellFiles ];
  postInstall = ''
    $out/bin/bwdc man man
    installManPage man/*
    installShellCompletion --cmd bwdc \
      --bash <($out/bin/bwdc completions bash) --fish <($out/bin/bwdc completions fish) --zsh <($out/bin/bwdc completions zsh)
  '';
  meta = {
    description = "Keeps a Bitwarden organization in step with a company's directory";
    license = with lib.licenses; [
      mit
      asl20
    ];
    mainProgram = "bwdc";
    platforms = lib.platforms.unix;
  };
}
