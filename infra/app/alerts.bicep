// When counts could be wrong, or nobody gets them. The queries read what the app logs and measures
// (shared/process/telemetry.py), which nothing samples; `make check-infra` holds the two together.
param location string
param tags { *: string }
param workspaceId string
param topicId string
param appId string
param instanceMemoryMB int

@description('Names of ours: others may share the topic.')
param eventSubscriptions string[]

param email string
param withoutReconciliation string

resource receivers 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'ag-blob-status'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'blob-status'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

var actionGroups = empty(email) ? [] : [receivers.id]

// Severity 1: counts are or may be wrong. 2: look at it today. 3: it repaired itself, find out why.
var logAlerts = [
  {
    name: 'drift-found'
    title: 'Blob status: a reconciliation has corrected counts'
    severity: 3
    window: 'PT15M'
    frequency: 'PT5M'
    operator: 'GreaterThan'
    threshold: 0
    // WARNING is what the app logs a reconciliation as that corrected something; a clean one is INFO.
    query: 'AppTraces | where Message startswith "reconciled: " and SeverityLevel >= 2'
  }
  {
    name: 'folder-vanished'
    title: 'Blob status: a folder has nothing left, or its container is gone'
    severity: 1
    window: 'PT15M'
    frequency: 'PT5M'
    operator: 'GreaterThan'
    threshold: 0
    query: 'AppTraces | where Message startswith "nothing is left of " and SeverityLevel >= 3'
  }
  {
    name: 'quarantine-not-empty'
    title: 'Blob status: events that could not be understood are in quarantine; `python -m ops quarantine list`'
    severity: 2
    window: withoutReconciliation
    frequency: 'PT5M'
    operator: 'GreaterThan'
    threshold: 0
    // What was said last counts: the line tells of a new event at once, and each reconciliation how many there are.
    query: 'union (AppTraces | where Message startswith "event quarantined: " and SeverityLevel >= 2 | project TimeGenerated, events = 1.0), (AppMetrics | where Name == "blob_status.quarantine.size" | project TimeGenerated, events = Max) | summarize arg_max(TimeGenerated, events) | where events > 0'
  }
  {
    name: 'server-errors'
    title: 'Blob status: more than 5 % of the answers are 5xx'
    severity: 2
    window: 'PT15M'
    frequency: 'PT5M'
    operator: 'GreaterThan'
    threshold: 0
    // The app counts its answers; of the host's request rows only a share is kept. Fewer than 20 answers say nothing.
    query: 'AppMetrics | where Name == "blob_status.answers" | summarize answers = sum(Sum), errors = sumif(Sum, toint(Properties.status) >= 500) | where answers >= 20 and errors * 100.0 / answers > 5'
  }
  {
    name: 'worker-ended'
    title: 'Blob status: the app\'s process has ended by itself and was started again; code 137 is a lack of memory'
    severity: 2
    window: 'PT15M'
    frequency: 'PT15M'
    operator: 'GreaterThan'
    threshold: 0
    // What the host logs afterwards.
    query: 'AppExceptions | where ExceptionType endswith "WorkerProcessExitException" or OuterType endswith "WorkerProcessExitException"'
  }
  {
    name: 'no-reconciliation'
    title: 'Blob status: no reconciliation has been completed for too long'
    severity: 2
    window: withoutReconciliation
    frequency: 'PT1H'
    operator: 'LessThan'
    threshold: 1
    query: 'AppTraces | where Message startswith "reconciled: " or Message startswith "counting for the first time: "'
  }
]

resource logRules 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in logAlerts: {
    name: 'alert-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.title
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      windowSize: alert.window
      evaluationFrequency: alert.frequency
      autoMitigate: true
      skipQueryValidation: true // a new workspace may not know its tables yet
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: alert.operator
            threshold: alert.threshold
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: { actionGroups: actionGroups }
    }
  }
]

var ofTopic = {
  scope: topicId
  namespace: 'Microsoft.EventGrid/systemTopics'
  dimension: { name: 'EventSubscriptionName', operator: 'Include', values: eventSubscriptions }
  aggregation: 'Total'
  threshold: 0
}
var metricAlerts = [
  {
    ...ofTopic
    name: 'dead-letters'
    metric: 'DeadLetteredCount'
    title: 'Blob status: Event Grid has given up on events; `python -m ops replay` applies them'
  }
  {
    ...ofTopic
    name: 'dropped-events'
    metric: 'DroppedEventCount'
    title: 'Blob status: events are lost; the next reconciliation repairs the counts'
  }
  {
    // Of the whole instance, the Functions host included: what the system looks at before it ends a process.
    scope: appId
    namespace: 'Microsoft.Web/sites'
    dimension: { name: 'Instance', operator: 'Include', values: ['*'] }
    aggregation: 'Average'
    threshold: instanceMemoryMB * 1024 * 1024 / 10 * 9
    name: 'memory-high'
    metric: 'MemoryWorkingSet'
    title: 'Blob status: an instance uses more than 90 % of its memory'
  }
]

resource metricRules 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in metricAlerts: {
    name: 'alert-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.title
      severity: 2
      enabled: true
      scopes: [alert.scope]
      windowSize: 'PT15M'
      evaluationFrequency: 'PT5M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.name
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: alert.namespace
            metricName: alert.metric
            dimensions: [alert.dimension]
            timeAggregation: alert.aggregation
            operator: 'GreaterThan'
            threshold: alert.threshold
          }
        ]
      }
      actions: [for id in actionGroups: { actionGroupId: id }]
    }
  }
]
