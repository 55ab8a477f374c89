{{- define "ntv.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ntv.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "ntv.labels" -}}
{{ include "ntv.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "ntv.inferenceHost" -}}
{{ include "ntv.fullname" . }}-inference.{{ .Release.Namespace }}.svc
{{- end -}}

{{/* Where the inference tier speaks gRPC: the servers themselves, or Ray's proxies. */}}
{{- define "ntv.inferencePort" -}}
{{ ternary 9000 50051 .Values.inference.ray.enabled }}
{{- end -}}

{{- define "ntv.inferenceImage" -}}
{{- $variant := ternary "-ray" (ternary "-cuda" "" (gt (int .Values.inference.gpu.count) 0)) .Values.inference.ray.enabled -}}
{{ .Values.inference.image.repository }}:{{ default (print .Chart.AppVersion $variant) .Values.inference.image.tag }}
{{- end -}}

{{/* Settings as environment variables; lists are joined with commas. */}}
{{- define "ntv.settings" -}}
{{- range $name, $value := . }}
- name: NEXTTOKEN_{{ upper $name }}
  value: {{ if kindIs "slice" $value }}{{ join "," $value | quote }}{{ else if kindIs "float64" $value }}{{ $value | toJson | quote }}{{ else }}{{ $value | toString | quote }}{{ end }}
{{- end }}
{{- end -}}

{{- define "ntv.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "ntv.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Spreads a component over the nodes where possible. */}}
{{- define "ntv.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{- include "ntv.selector" . | nindent 6 }}
{{- end -}}

{{- define "ntv.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A setting in seconds, or the service's own default. */}}
{{- define "ntv.seconds" -}}
{{- $value := index . 0 -}}
{{- if kindIs "invalid" $value }}{{ index . 1 }}{{ else }}{{ $value }}{{ end -}}
{{- end -}}
