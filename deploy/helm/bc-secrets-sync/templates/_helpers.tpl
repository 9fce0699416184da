{{- define "bc.name" -}}
{{- regexReplaceAll "[-.]+$" (.Release.Name | trunc 50) "" -}}
{{- end -}}

{{- define "bc.account" -}}
{{- .Values.serviceAccount.name | default (include "bc.name" .) -}}
{{- end -}}

{{- define "bc.labels" -}}
app.kubernetes.io/name: bc-secrets-sync
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "bc.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "bc.oneTime" -}}
{{- if or (eq .Values.mode "init") (eq .Values.mode "job") }}yes{{ end -}}
{{- end -}}

{{/* The daemon's container. */}}
{{- define "bc.container" -}}
name: bc-secrets-sync
image: {{ include "bc.image" . | quote }}
{{- with .Values.image.pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}
{{- if eq .Values.mode "sidecar" }}
restartPolicy: Always
{{- end }}
{{- if include "bc.oneTime" . }}
args: {{ concat (list "run" "--one-time" "--config" "/etc/bc-secrets-sync/config/config.toml") (.Values.extraArgs | default list) | toJson }}
{{- else }}
args: {{ concat (list "run" "--config" "/etc/bc-secrets-sync/config/config.toml") (.Values.extraArgs | default list) | toJson }}
ports:
  - name: bc-http
    containerPort: 9847
# With Vault down it takes as long as Vault is down: 24 hours of patience, because a restart would not shorten it.
startupProbe:
  httpGet:
    path: /startupz
    port: bc-http
  periodSeconds: 2
  failureThreshold: 43200
livenessProbe:
  httpGet:
    path: /livez
    port: bc-http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}
{{- if .Values.events.enabled }}
env:
  - name: POD_NAME
    valueFrom:
      fieldRef:
        fieldPath: metadata.name
  - name: POD_NAMESPACE
    valueFrom:
      fieldRef:
        fieldPath: metadata.namespace
  - name: POD_UID
    valueFrom:
      fieldRef:
        fieldPath: metadata.uid
{{- end }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  runAsUser: 65532
  runAsGroup: 65532
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: ["ALL"]
volumeMounts:
  - name: bc-credentials
    mountPath: /run/bc-secrets-sync
  - name: bc-state
    mountPath: /var/lib/bc-secrets-sync
  - name: bc-config
    mountPath: /etc/bc-secrets-sync/config
    readOnly: true
  {{- if eq .Values.auth.method "approle" }}
  - name: bc-approle
    mountPath: /etc/bc-secrets-sync/approle
    readOnly: true
  {{- else }}
  - name: bc-vault-token
    mountPath: /var/run/secrets/vault
    readOnly: true
  {{- end }}
  {{- if .Values.events.enabled }}
  - name: bc-service-account
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "bc.volumes" -}}
- name: bc-credentials
{{- if eq .Values.mode "deployment" }}
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.credentials.existingClaim | default (printf "%s-credentials" (include "bc.name" .)) | quote }}
{{- else }}
  emptyDir:
    medium: Memory
    sizeLimit: {{ .Values.volumes.credentialsSizeLimit | quote }}
{{- end }}
- name: bc-state
{{- if eq .Values.mode "deployment" }}
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.state.existingClaim | default (printf "%s-state" (include "bc.name" .)) | quote }}
{{- else }}
  emptyDir:
    sizeLimit: {{ .Values.volumes.stateSizeLimit | quote }}
{{- end }}
- name: bc-config
  configMap:
    name: {{ include "bc.name" . | quote }}
{{- if eq .Values.auth.method "approle" }}
- name: bc-approle
  secret:
    secretName: {{ .Values.auth.approle.secretName | quote }}
    defaultMode: 0440
{{- else }}
- name: bc-vault-token
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          audience: {{ .Values.auth.kubernetes.audience | quote }}
          expirationSeconds: {{ .Values.auth.kubernetes.expirationSeconds | int }}
{{- end }}
{{- if .Values.events.enabled }}
- name: bc-service-account
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The pod, from its metadata on. */}}
{{- define "bc.template" -}}
{{- $name := ternary (include "bc.name" .) .Values.app.name (eq .Values.mode "deployment") -}}
metadata:
  labels:
    app: {{ $name | quote }}
    credentials-by: {{ include "bc.name" . | quote }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "bc.account" . | quote }}
  automountServiceAccountToken: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .Values.mode "job" }}
  restartPolicy: Never
  {{- end }}
  {{- with .Values.terminationGracePeriodSeconds }}
  terminationGracePeriodSeconds: {{ . | int }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- if eq .Values.mode "deployment" }}
  containers:
    - {{- include "bc.container" . | nindent 6 }}
  {{- else }}
  initContainers:
    - {{- include "bc.container" . | nindent 6 }}
  containers:
    - name: app
      {{- toYaml (omit .Values.app.container "name" "volumeMounts") | nindent 6 }}
      volumeMounts:
        - name: bc-credentials
          mountPath: /run/bc-secrets-sync
          readOnly: true
        {{- with .Values.app.container.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  {{- end }}
  volumes:
    {{- include "bc.volumes" . | nindent 4 }}
    {{- with .Values.app.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
