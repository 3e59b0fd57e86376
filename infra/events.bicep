// The event subscriptions. Event Grid checks that the function exists, so this comes after the code:
// infra/hooks/postdeploy deploys it into the topic's resource group.
param topicName string
param appResourceGroup string
param appName string
param storageResourceGroup string
param storageAccountName string
param deadLetterContainer string
param eventSubscription string

@description('Resource id of the topic\'s user-assigned identity that writes dead letters; empty: its system-assigned one.')
param topicIdentityId string

param queuedFolder string
param inputFolder string
param outputFolder string
param extraFolders string

@description('Events that one call may bring: the app commits up to 99 blobs in one transaction.')
@minValue(1)
@maxValue(5000)
param maxEventsPerBatch int = 99

@description('Event Grid closes a batch at this size too; a blob event has about 1 KB.')
@minValue(1)
@maxValue(1024)
param preferredBatchSizeInKilobytes int = 128

// "images/a/b" is the container images and what lies under a/b/. Advanced filters take 512 characters and ignore case:
// what they let through too much, the app drops. A folder with two slashes in a row is filtered by its container alone.
var extraLocations = map(
  filter(split(extraFolders, ','), each => contains(each, '=')),
  each => join(skip(split(each, '='), 1), '=')
)
var folders = map(concat([queuedFolder, inputFolder, outputFolder], extraLocations), folder => split(trim(folder), '/'))
var prefixes = map(folders, parts => join(map(filter(skip(parts, 1), part => !empty(part)), part => '${part}/'), ''))
var areExact = map(folders, parts => !contains(join(parts, '|'), '||'))
var subjects = [
  for (parts, i) in folders: take(
    '/blobServices/default/containers/${first(parts)}/blobs/${areExact[i] ? prefixes[i] : ''}',
    512
  )
]

var destination = {
  endpointType: 'AzureFunction'
  properties: {
    resourceId: resourceId(appResourceGroup, 'Microsoft.Web/sites/functions', appName, 'on_blob_event')
    maxEventsPerBatch: maxEventsPerBatch
    preferredBatchSizeInKilobytes: preferredBatchSizeInKilobytes
  }
}

// The most that Event Grid offers. What still was not taken after a day is kept.
var retryPolicy = {
  maxDeliveryAttempts: 30
  eventTimeToLiveInMinutes: 1440
}

var deadLetters = {
  identity: empty(topicIdentityId)
    ? { type: 'SystemAssigned' }
    : { type: 'UserAssigned', userAssignedIdentity: topicIdentityId }
  deadLetterDestination: {
    endpointType: 'StorageBlob'
    properties: {
      resourceId: resourceId(storageResourceGroup, 'Microsoft.Storage/storageAccounts', storageAccountName)
      blobContainerName: deadLetterContainer
    }
  }
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource blobs 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: eventSubscription
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: destination
    retryPolicy: retryPolicy
    deadLetterWithResourceIdentity: deadLetters
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobCreated'
        'Microsoft.Storage.BlobDeleted'
      ]
      advancedFilters: [
        {
          operatorType: 'StringBeginsWith'
          key: 'subject'
          values: subjects
        }
      ]
    }
  }
}

// Hierarchical namespace only; other accounts raise none of these. Not filtered by path: the subject of a rename is
// the new name, and one out of a folder, or of a directory above it, concerns the counts all the same. Not in one
// subscription with the others: nothing here can match what is written to the dead letters or the quarantine.
resource moves 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: '${eventSubscription}-moves'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: destination
    retryPolicy: retryPolicy
    deadLetterWithResourceIdentity: deadLetters
    filter: {
      includedEventTypes: [
        'Microsoft.Storage.BlobRenamed'
        'Microsoft.Storage.DirectoryRenamed'
        'Microsoft.Storage.DirectoryDeleted'
      ]
    }
  }
  dependsOn: [blobs] // Event Grid refuses two changes of a topic at a time
}
