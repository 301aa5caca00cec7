{{- define "pushcast.fullname" -}}
{{- if contains "pushcast" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-pushcast" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "pushcast.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "pushcast.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "pushcast.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "pushcast.selector" -}}
app.kubernetes.io/name: pushcast
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pushcast.labels" -}}
{{ include "pushcast.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* "true" where gateways keep the quotas of keys together. */}}
{{- define "pushcast.sharing" -}}
{{- $gateway := .Values.config.gateway | default dict }}
{{- if kindIs "map" $gateway.sharing }}
{{- $_ := required "config.gateway.sharing.token_file is needed: the pods of gateways ask each other" $gateway.sharing.token_file }}true
{{- end }}
{{- end }}

{{/* One entry for each StatefulSet or Deployment: a role, and its lane and platform where it has them. */}}
{{- define "pushcast.workloads" -}}
{{- $full := include "pushcast.fullname" . }}
{{- range $role, $spec := .Values.roles }}
{{- if $spec.enabled }}
{{- range $platform := ($spec.platforms | default (list "")) }}
{{- range $lane := ($spec.lanes | default (list "")) }}
- name: {{ compact (list $full $role $platform $lane) | join "-" }}
  role: {{ $role }}
  platform: {{ $platform | quote }}
  lane: {{ $lane | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Security of every pod: the image runs as 10001 and writes below its data directory and /tmp alone. */}}
{{- define "pushcast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "pushcast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "pushcast.mounts" -}}
- {name: config, mountPath: /etc/pushcast/config, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.existingSecret }}
- {name: secrets, mountPath: /etc/pushcast/secrets, readOnly: true}
{{- end }}
{{- end }}

{{- define "pushcast.volumes" -}}
- name: config
  configMap: {name: {{ include "pushcast.fullname" . }}}
- name: tmp
  emptyDir: {}
{{- if .Values.existingSecret }}
- name: secrets
  secret: {secretName: {{ .Values.existingSecret }}, defaultMode: 0440}
{{- end }}
{{- end }}
