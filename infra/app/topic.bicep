// The storage account's system topic, where it has none. An account can have one only, and all subscriptions share it.
param name string
param tags { *: string }

@description('That of the storage account.')
param location string

param storageId string
param workspaceId string

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' = {
  name: name
  location: location
  tags: tags
  identity: { type: 'SystemAssigned' }
  properties: {
    source: storageId
    topicType: 'Microsoft.Storage.StorageAccounts'
  }
}

// Why deliveries fail, where the alerts look. Successful ones are not logged: a line an event.
resource failures 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: topic
  name: 'blob-status'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'DeliveryFailures', enabled: true }]
  }
}
