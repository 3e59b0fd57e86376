// What the app (or an operator) may do on the account of the images, new or existing, and no more:
//   look at and list all blobs    account: a container's own role might go with the container, and "it is gone" must
//                                 stay a definite answer
//   read and write tables         account: the app makes its table, and a table's name is not in that request's address
//   write blobs                   only in the quarantine
// The first lets it read what is in an image, too: Azure knows no right to look at a blob without (docs/security.md).
import { operatorRole } from 'types.bicep'

param storageAccountName string
param quarantineContainer string
param principalId string

@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string

@description('Which of them.')
param roles operatorRole[]

var blobReaderRole = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1' // Storage Blob Data Reader
var blobContributorRole = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
var tableContributorRole = '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
var tableReaderRole = '76199698-9eea-4c19-bc75-cec21354c6b6' // Storage Table Data Reader

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2025-01-01' existing = {
  parent: account
  name: 'default'
}

resource quarantine 'Microsoft.Storage/storageAccounts/blobServices/containers@2025-01-01' = {
  parent: blobs
  name: quarantineContainer
}

resource accountRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in concat(
    contains(roles, 'blobs') ? [blobReaderRole] : [],
    contains(roles, 'tables') ? [tableContributorRole] : [],
    contains(roles, 'readTables') ? [tableReaderRole] : []
  ): {
    name: guid(account.id, principalId, role)
    scope: account
    properties: {
      principalId: principalId
      principalType: principalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

resource quarantineRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (contains(roles, 'quarantine')) {
  name: guid(quarantine.id, principalId, blobContributorRole)
  scope: quarantine
  properties: {
    principalId: principalId
    principalType: principalType
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', blobContributorRole)
  }
}

output storageId string = account.id
output storageLocation string = account.location
