# The daemon as a service of NixOS.
#
#   services.bwdc = {
#     enable = true;
#     instances.hq = {
#       schedule.every = "15m";
#       settings = {
#         server = "https://vault.example.org";
#         directory = "ldap";
#         "ldap.hostname" = "ldap.example.org";
#       };
#       # Files that only root can read, by names in docs/secrets.md.
#       secrets."login.clientId" = "/run/keys/bwdc-client-id";
#       secrets."login.clientSecret" = "/run/keys/bwdc-client-secret";
#       secrets."ldap.password" = "/run/keys/bwdc-ldap-password";
#     };
#   };
{
  config,
  lib,
  pkgs,
  utils,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.bwdc;
  state = "/var/lib/bwdc";
  format = pkgs.formats.toml { };
  file = format.generate "bwdc.toml" (
    lib.recursiveUpdate {
      instance = lib.mapAttrs (name: instance: {
        folder = "${state}/${name}";
        inherit (instance) schedule;
      }) cfg.instances;
    } cfg.config
  );
  value = setting: if lib.isBool setting then lib.boolToString setting else toString setting;
  # systemd puts credentials there; the names are those of LoadCredential below.
  secretFiles =
    name: instance:
    lib.mapAttrs' (
      secret: _: lib.nameValuePair "secretFile.${secret}" "/run/credentials/bwdc.service/${name}.${secret}"
    ) instance.secrets;
  # Asks nobody, and changes nothing where the settings are the same.
  init =
    name: instance:
    let
      settings = removeAttrs instance.settings [
        "server"
        "directory"
      ];
    in
    utils.escapeSystemdExecArgs (
      [
        (lib.getExe cfg.package)
        "--nointeraction"
        "init"
        "--untested"
        "--instance"
        name
        "--server"
        instance.settings.server
        "--directory"
        instance.settings.directory
      ]
      ++ lib.concatLists (
        lib.mapAttrsToList (setting: given: [
          "--set"
          "${setting}=${value given}"
        ]) (settings // secretFiles name instance)
      )
    );
in
{
  options.services.bwdc = {
    enable = lib.mkEnableOption "syncing directories into Bitwarden organizations";
    package = mkOption {
      type = types.package;
      description = "The program.";
    };
    instances = mkOption {
      description = "The instances by name.";
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            schedule = mkOption {
              type = types.attrsOf types.str;
              default.every = "15m";
              description = "When it is synced, as in bwdc.toml.";
            };
            settings = mkOption {
              type = types.attrsOf (
                types.oneOf [
                  types.str
                  types.bool
                  types.int
                ]
              );
              description = "Its settings, `server` and `directory` among them.";
            };
            secrets = mkOption {
              type = types.attrsOf types.str;
              default = { };
              description = "Files with its secrets, by names of the secrets. Not in the Nix store, which everybody can read.";
            };
          };
        }
      );
    };
    config = mkOption {
      inherit (format) type;
      default = { };
      description = "Further tables of bwdc.toml.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    users.users.bwdc = {
      isSystemUser = true;
      group = "bwdc";
      home = state;
    };
    users.groups.bwdc = { };

    systemd.services.bwdc = {
      description = "Bitwarden directory sync";
      wants = [ "network-online.target" ];
      after = [ "network-online.target" ];
      wantedBy = [ "multi-user.target" ];
      environment = {
        BITWARDENCLI_CONNECTOR_APPDATA_DIR = state;
        BWDC_CONFIG = "${file}";
      };
      serviceConfig = {
        Type = "notify";
        ExecStartPre = lib.mapAttrsToList init cfg.instances;
        ExecStart = utils.escapeSystemdExecArgs [
          (lib.getExe cfg.package)
          "daemon"
        ];
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        User = "bwdc";
        Group = "bwdc";
        StateDirectory = "bwdc";
        StateDirectoryMode = "0700";
        WorkingDirectory = state;
        LoadCredential = lib.concatLists (
          lib.mapAttrsToList (
            name: instance: lib.mapAttrsToList (secret: path: "${name}.${secret}:${path}") instance.secrets
          ) cfg.instances
        );
        WatchdogSec = 60;
        OOMPolicy = "continue";
        Restart = "on-failure";
        RestartSec = 10;
        KillMode = "mixed";
        TimeoutStopSec = 90;

        UMask = "0077";
        LimitCORE = 0;
        NoNewPrivileges = true;
        LockPersonality = true;
        MemoryDenyWriteExecute = true;
        RestrictAddressFamilies = [
          "AF_INET"
          "AF_INET6"
          "AF_UNIX"
        ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [
          "@system-service"
          "~@privileged @resources"
        ];
        SystemCallErrorNumber = "EPERM";
        CapabilityBoundingSet = "";
        AmbientCapabilities = "";
        DevicePolicy = "closed";
        PrivateDevices = true;
        PrivateTmp = true;
        PrivateUsers = true;
        ProcSubset = "pid";
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        ProtectSystem = "strict";
        RemoveIPC = true;
        ProtectHome = "tmpfs";
      };
    };
  };
}
