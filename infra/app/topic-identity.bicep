// Whose principal writes the topic's dead letters: the topic's own, or a user-assigned identity that it has. A topic
// without either fails here, loudly. A module of its own, because roles are named after the principal.
param topicName string

@description('Resource id of the user-assigned identity; empty: the topic\'s system-assigned one.')
param identityId string

var parts = split(empty(identityId) ? '/subscriptions/x/resourceGroups/x/providers/x/x/x' : identityId, '/')

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: topicName
}

resource assigned 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' existing = if (!empty(identityId)) {
  name: last(parts)
  scope: resourceGroup(parts[2], parts[4])
}

output principalId string = empty(identityId) ? topic.identity.principalId : assigned!.properties.principalId
