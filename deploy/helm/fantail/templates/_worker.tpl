{{/* The Deployment of one pool of workers:
     dict "root" $ "values" (worker or gpu) "path" (of these values, for messages) "name" (after the start of the name)
     "labels" (of the pods) "metadataLabels" (of the Deployment) "spread" (the labels of the pods that are spread).
     `replicas` is not set if there is an autoscaler, because the autoscaler sets it. */}}
{{- define "fantail.workers" -}}
{{- $name := include "fantail.name" .root }}
{{- $values := .values }}
{{- $tasks := default (dict) (get $values "tasks") }}
{{- $https := ternary "+https" "" .root.Values.tls.enabled }}
{{- /* A worker registers with every coordinator. The first name in FANTAIL_REGISTER has one address for all coordinators,
     and that address never changes. So the worker finds new coordinators through the first name, even while cluster DNS has
     an old answer for the second name in its cache. */}}
{{- $env := dict
    "FANTAIL_TASKS" (ternary "/config-tasks:/tasks" "/tasks" (gt (len $tasks) 0))
    "FANTAIL_REGISTER" (printf "balancer%s://%s-coordinator:8080,dns%s://%s-coordinators:8080" $https $name $https $name)
    "FANTAIL_SHUTDOWN_DELAY_S" ($values.shutdownDelaySeconds | int | toString)
    "FANTAIL_DRAIN_S" ($values.drainSeconds | int | toString) }}
{{- if .root.Values.insecure }}
{{- $_ := set $env "FANTAIL_INSECURE" "true" }}
{{- else }}
{{- $_ := set $env "FANTAIL_TOKEN_FILE" "/run/fantail/workers" }}
{{- end }}
{{- if .root.Values.tls.enabled }}
{{- $_ := set $env "FANTAIL_TLS_CERT" "/tls/tls.crt" }}
{{- $_ := set $env "FANTAIL_TLS_KEY" "/tls/tls.key" }}
{{- $_ := set $env "FANTAIL_TLS_CLIENT_CA" "/tls/ca.crt" }}
{{- $_ := set $env "FANTAIL_REGISTER_CA" "/tls/ca.crt" }}
{{- end -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}-{{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- .metadataLabels | nindent 4 }}
spec:
  {{- if eq $values.autoscaling.type "none" }}
  replicas: {{ int $values.replicas }}
  {{- end }}
  # A rollout ends an old worker only when the new worker has been ready for this time. By then every coordinator knows the
  # new worker, because registering takes about a second.
  minReadySeconds: 5
  selector:
    matchLabels: {{- .labels | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: {{ $values.rollout.maxSurge }}, maxUnavailable: {{ $values.rollout.maxUnavailable }}}
  template:
    metadata:
      labels:
        {{- .labels | nindent 8 }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- if or $tasks $values.podAnnotations }}
      annotations:
        {{- if $tasks }}
        checksum/tasks: {{ toJson $tasks | sha256sum }}
        {{- end }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
    spec:
      serviceAccountName: {{ $name }}-worker
      terminationGracePeriodSeconds: {{ include "fantail.grace" (dict "path" .path "values" $values) }}
      {{- include "fantail.podSecurity" .root | nindent 6 }}
      {{- include "fantail.spread" .spread | nindent 6 }}
      {{- with include "fantail.placement" $values | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .root.Values.imagePullSecrets }}
      imagePullSecrets: {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: worker
          {{- include "fantail.image" $values.image | nindent 10 }}
          env: {{- include "fantail.env" (dict "own" $env "user" $values.env) | trim | nindent 12 }}
          ports:
            - {name: http, containerPort: 8081}
            - {name: admin, containerPort: 9081}
          {{- include "fantail.probes" .root | nindent 10 }}
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext: {{- include "fantail.containerSecurity" .root | nindent 12 }}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if not .root.Values.insecure }}
            - {name: tokens, mountPath: /run/fantail, readOnly: true}
            {{- end }}
            {{- if .root.Values.tls.enabled }}
            - {name: tls, mountPath: /tls, readOnly: true}
            {{- end }}
            {{- range $task, $files := $tasks }}
            - {name: task-{{ $task }}, mountPath: /config-tasks/{{ $task }}, readOnly: true}
            {{- end }}
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: {{ $values.tmpSizeLimit }}}
        {{- if not .root.Values.insecure }}
        # The volume does not have the clients' tokens, because tasks run as the same user and could read these tokens.
        - name: tokens
          secret:
            secretName: {{ include "fantail.tokensSecret" .root }}
            defaultMode: 0440
            items:
              - {key: workers, path: workers}
        {{- end }}
        {{- if .root.Values.tls.enabled }}
        - name: tls
          secret: {secretName: {{ include "fantail.workerTlsSecret" .root }}, defaultMode: 0440}
        {{- end }}
        {{- range $task, $files := $tasks }}
        - name: task-{{ $task }}
          configMap: {name: {{ $name }}-task-{{ $task }}}
        {{- end }}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end }}
