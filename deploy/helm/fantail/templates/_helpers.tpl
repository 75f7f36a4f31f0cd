{{/* The start of the name of every object. The longest end is "-coordinators", and a name may have 63 characters. */}}
{{- define "fantail.name" -}}
{{- $name := default .Release.Name .Values.fullnameOverride -}}
{{- if not (contains "fantail" $name) }}{{ $name = printf "%s-fantail" $name }}{{ end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* The names of the Secrets. */}}
{{- define "fantail.tokensSecret" -}}
{{- default (printf "%s-tokens" (include "fantail.name" .)) .Values.tokens.secretName -}}
{{- end }}
{{- define "fantail.coordinatorTlsSecret" -}}
{{- default (printf "%s-coordinator-tls" (include "fantail.name" .)) .Values.tls.coordinatorSecretName -}}
{{- end }}
{{- define "fantail.workerTlsSecret" -}}
{{- default (printf "%s-worker-tls" (include "fantail.name" .)) .Values.tls.workerSecretName -}}
{{- end }}

{{/* The labels by which Services, policies and budgets find the pods of one component: dict "root" $ "component" NAME. */}}
{{- define "fantail.selector" -}}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: {{ include "fantail.name" .root }}
{{- end }}

{{/* The lines `image` and `imagePullPolicy` of a container: coordinator.image or similar. */}}
{{- define "fantail.image" -}}
image: {{ .repository }}{{ with .tag }}:{{ . }}{{ end }}
{{- with .pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- end }}

{{/* The environment of a container: dict "own" (the variables of the chart) "user" (the variables of the user, which take
     precedence). */}}
{{- define "fantail.env" -}}
{{- $env := .own }}
{{- range $name, $value := .user }}{{ $_ := set $env $name $value }}{{ end }}
{{- range $name, $value := $env }}
- name: {{ $name }}
  {{- if kindIs "map" $value }}
  {{- toYaml $value | nindent 2 }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The time that Kubernetes leaves a pod to end: dict "path" (for the message) "values" (coordinator or similar). */}}
{{- define "fantail.grace" -}}
{{- $needed := add .values.shutdownDelaySeconds .values.drainSeconds 5 }}
{{- if lt (int .values.terminationGracePeriodSeconds) (int $needed) }}
{{- fail (printf "%s.terminationGracePeriodSeconds must be at least shutdownDelaySeconds + drainSeconds + 5 = %d" .path (int $needed)) }}
{{- end }}
{{- int .values.terminationGracePeriodSeconds }}
{{- end }}

{{/* What all pods have in common. */}}
{{- define "fantail.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "fantail.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "fantail.probes" -}}
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}

{{/* Pods spread over zones and nodes: the labels that the pods have in common. The pods of each rollout are spread alone. If
     the old pods counted, the new pods would avoid the nodes of the old pods, and would be spread unevenly after the old
     pods have ended. */}}
{{- define "fantail.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: topology.kubernetes.io/zone
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}

{{/* Where the pods may run: coordinator or similar. */}}
{{- define "fantail.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}
