{{- define "countersign.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "countersign.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "countersign.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ include "countersign.version" . }}{{ end }}
{{- end }}

{{- define "countersign.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "countersign.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "countersign.selector" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: service
{{- end }}

{{- define "countersign.labels" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "countersign.version" . | trunc 63 | trimAll "-._" | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{- /* Each secret as a file, and the variable that names it. */}}
{{- define "countersign.secretFiles" -}}
databaseUrl: DATABASE_URL_FILE
masterKey: COUNTERSIGN_MASTER_KEY_FILE
redisUrl: REDIS_URL_FILE
smtpUrl: SMTP_URL_FILE
oidcProviders: COUNTERSIGN_OIDC_PROVIDERS_FILE
{{- end }}

{{- /* What the service and the migrations have in common. */}}
{{- define "countersign.env" -}}
{{- range $name, $variable := include "countersign.secretFiles" . | fromYaml }}
{{- with index $.Values.secrets $name }}
{{- if .name }}
- name: {{ $variable }}
  value: /run/secrets/countersign/{{ $name }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $value := .Values.config }}
- name: {{ $name }}
  value: {{ if kindIs "string" $value }}{{ $value | quote }}{{ else }}{{ $value | toJson | quote }}{{ end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "countersign.mounts" -}}
- name: secrets
  mountPath: /run/secrets/countersign
  readOnly: true
{{- if .Values.tls.secretName }}
- name: tls
  mountPath: /run/secrets/countersign-tls
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "countersign.volumes" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $name, $variable := include "countersign.secretFiles" . | fromYaml }}
      {{- with index $.Values.secrets $name }}
      {{- if .name }}
      - secret:
          name: {{ .name }}
          items: [{ key: {{ .key | quote }}, path: {{ $name }} }]
      {{- end }}
      {{- end }}
      {{- end }}
{{- if .Values.tls.secretName }}
- name: tls
  secret:
    secretName: {{ .Values.tls.secretName }}
    defaultMode: 0440
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
