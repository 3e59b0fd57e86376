// The storage account of the images, where there is none yet.
param name string
param location string
param tags { *: string }

@description('Reached through private endpoints only.')
param isPrivate bool

@description('Days for which deleted and overwritten images, and deleted containers, can be restored.')
param softDeleteDays int

@description('Container -> days after which what lies there is deleted.')
param retentionDays { *: int }

@description('Containers of the folders.')
param containers string[]

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    // AzureServices: Event Grid writes dead letters as a trusted service.
    networkAcls: { bypass: 'AzureServices', defaultAction: isPrivate ? 'Deny' : 'Allow' }
    supportsHttpsTrafficOnly: true
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource folders 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = [
  for container in containers: {
    parent: blobs
    name: container
  }
]

// The app drops what is in its quarantine itself, a day earlier; this catches what it has lost sight of.
resource retention 'Microsoft.Storage/storageAccounts/managementPolicies@2025-01-01' = {
  parent: account
  name: 'default'
  properties: {
    policy: {
      rules: [
        for each in items(retentionDays): {
          name: each.key
          type: 'Lifecycle'
          definition: {
            filters: { blobTypes: ['blockBlob', 'appendBlob'], prefixMatch: ['${each.key}/'] }
            actions: { baseBlob: { delete: { daysAfterModificationGreaterThan: each.value } } }
          }
        }
      ]
    }
  }
}
