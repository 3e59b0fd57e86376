// Log Analytics and Application Insights. Telemetry is sent with the app's identity; the key alone is worth nothing.
param token string
param location string
param tags { *: string }
param publisherPrincipalId string
param instanceMemoryMB int

@description('GB of telemetry a day, after which none is taken until the next day; 0: no bound.')
param dailyQuotaGb int

// Monitoring Metrics Publisher
var publisherRole = '3913510d-42f4-4e42-8a64-420c390055eb'

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: 'log-${token}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    workspaceCapping: { dailyQuotaGb: dailyQuotaGb > 0 ? dailyQuotaGb : -1 }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${token}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

// What to look at: infra/app/workbook.json. `make check-infra` holds its queries against the app.
resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(workspace.id, 'blob-status')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Blob status (${token})'
    category: 'workbook'
    sourceId: workspace.id
    serializedData: replace(
      replace(loadTextContent('workbook.json'), '{workspace}', workspace.id),
      '{megabytes}',
      string(instanceMemoryMB)
    )
  }
}

resource publisher 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, publisherPrincipalId, publisherRole)
  scope: insights
  properties: {
    principalId: publisherPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', publisherRole)
  }
}

output workspaceId string = workspace.id
output connectionString string = insights.properties.ConnectionString
