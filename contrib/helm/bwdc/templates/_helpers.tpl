{{/* Name of everything; that of an instance follows after a "-". */}}
{{- define "bwdc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 30 | trimSuffix "-" -}}
{{- end -}}

{{- define "bwdc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 30 | trimSuffix "-" -}}
{{- else if contains (include "bwdc.name" .) .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "bwdc.name" .) | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "bwdc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bwdc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "bwdc.labels" -}}
{{ include "bwdc.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "bwdc.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Secret of an instance: root (the context), name, instance. */}}
{{- define "bwdc.secret" -}}
{{- $secret := default dict .instance.secret -}}
{{- default (printf "%s-%s" (include "bwdc.fullname" .root) .name) $secret.existing -}}
{{- end -}}

{{/* A value as the command line takes it; numbers of YAML are floating. */}}
{{- define "bwdc.value" -}}
{{- if kindIs "float64" . -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Arguments that put an instance's settings into its data.json: instance, further (arguments). */}}
{{- define "bwdc.init" -}}
{{- $settings := default dict .instance.settings -}}
- --nointeraction
- init
- --untested
{{- range .further }}
- {{ . | quote }}
{{- end }}
- --server
- {{ required (printf "instances.%s.settings.server is missing: the server's address" .name) $settings.server | quote }}
- --directory
- {{ required (printf "instances.%s.settings.directory is missing: ldap, entra, gsuite, okta, onelogin or file" .name) $settings.directory | quote }}
{{- range $setting, $value := omit $settings "server" "directory" }}
- --set
- {{ printf "%s=%s" $setting (include "bwdc.value" $value) | quote }}
{{- end }}
{{- end -}}

{{/* As "restricted" of the Pod Security Standards wants it, and as `bwdc schedule install --using kubernetes` has it. */}}
{{- define "bwdc.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "bwdc.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Variables of every container. */}}
{{- define "bwdc.env" -}}
- name: BITWARDENCLI_CONNECTOR_APPDATA_DIR
  value: /var/lib/bwdc
- name: BWDC_STARTED_BY
  value: kubernetes
{{- with .Values.timeZone }}
- name: TZ
  value: {{ . | quote }}
{{- end }}
{{- range $name, $value := .Values.env }}
- name: {{ $name }}
  value: {{ include "bwdc.value" $value | quote }}
{{- end }}
{{- end -}}

{{- define "bwdc.mounts" -}}
{{- if .Values.files }}
- name: files
  mountPath: /etc/bwdc/files
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "bwdc.volumes" -}}
{{- if .Values.files }}
- name: files
  configMap:
    name: {{ include "bwdc.fullname" . }}-files
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* What the pods of both modes have besides their containers. */}}
{{- define "bwdc.pod" -}}
automountServiceAccountToken: false
{{- with .Values.serviceAccountName }}
serviceAccountName: {{ . }}
{{- end }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- include "bwdc.podSecurityContext" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A claim for state: root, name. */}}
{{- define "bwdc.claim" -}}
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .name }}
  labels:
    {{- include "bwdc.labels" .root | nindent 4 }}
  {{- if .root.Values.persistence.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
spec:
  accessModes: {{ toJson .root.Values.persistence.accessModes }}
  {{- with .root.Values.persistence.storageClass }}
  storageClassName: {{ . | quote }}
  {{- end }}
  resources:
    requests:
      storage: {{ .root.Values.persistence.size }}
{{- end -}}

{{/* What the container of a CronJob runs. */}}
{{- define "bwdc.syncArguments" -}}
{{- $words := list "sync" -}}
{{- if eq .Values.cronjob.state "none" -}}
{{- $words = concat $words (list "--state" "none") -}}
{{- end -}}
{{- range .Values.cronjob.options -}}
{{- $words = append $words . -}}
{{- end -}}
{{ toJson $words }}
{{- end -}}

{{/* What a container of a CronJob has, whether it syncs or makes the settings: root, readOnly (its folder). */}}
{{- define "bwdc.container" -}}
env:
  {{- include "bwdc.env" .root | nindent 2 }}
  - name: CREDENTIALS_DIRECTORY
    value: /run/secrets/bwdc
securityContext:
  {{- include "bwdc.containerSecurityContext" .root | nindent 2 }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
volumeMounts:
  - name: state
    mountPath: /var/lib/bwdc
    {{- if .readOnly }}
    readOnly: true
    {{- end }}
  - name: secrets
    mountPath: /run/secrets/bwdc
    readOnly: true
  {{- with include "bwdc.mounts" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Names of an instance's secrets: of those given, or as said of a Secret that is there. */}}
{{- define "bwdc.secretKeys" -}}
{{- $secret := default dict .secret -}}
{{- if $secret.existing -}}
{{- default (list "login.clientId" "login.clientSecret") $secret.keys | toJson -}}
{{- else -}}
{{- keys (default dict $secret.data) | sortAlpha | toJson -}}
{{- end -}}
{{- end -}}

{{/* What a container of the daemon has: root. Secrets are files, named by the settings `secretFile`. */}}
{{- define "bwdc.daemonContainer" -}}
env:
  {{- include "bwdc.env" .root | nindent 2 }}
securityContext:
  {{- include "bwdc.containerSecurityContext" .root | nindent 2 }}
resources:
  {{- toYaml .root.Values.resources | nindent 2 }}
volumeMounts:
  - name: state
    mountPath: /var/lib/bwdc
  # Beside data.json, where it is found, and where the daemon may write its socket.
  - name: config
    mountPath: /var/lib/bwdc/bwdc.toml
    subPath: bwdc.toml
    readOnly: true
  - name: secrets
    mountPath: /run/secrets/bwdc
    readOnly: true
  {{- with include "bwdc.mounts" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* bwdc.toml for the daemon. */}}
{{- define "bwdc.toml" -}}
{{- range $name, $instance := .Values.instances -}}
{{- if $instance.suspend }}
{{- fail (printf "instances.%s.suspend is for mode cronjob. The daemon runs every instance it is given: take this one out, or use mode cronjob." $name) }}
{{- end -}}
[instance.{{ $name }}]
folder = {{ $name | quote }}
{{- if $instance.schedule }}
schedule = { cron = {{ $instance.schedule | quote }} }
{{- end }}

{{ end -}}
{{- with .Values.daemon.config }}
{{- . }}
{{- end }}
{{- end -}}
