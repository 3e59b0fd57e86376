// The network that app and accounts meet in: a subnet that the app's instances are in, another with a private endpoint
// for each service in use, and the names that lead there. Blob and table only: nothing here uses queues or files, and
// each endpoint costs by the month.
param token string
param location string
param tags { *: string }

@description('Address space, /22 or larger; it must not overlap with networks that are to be peered.')
param addressPrefix string

@description('Accounts to be reached, each at most once.')
param accounts { name: string, id: string }[]

var services = ['blob', 'table']
var endpoints = range(0, length(accounts) * length(services))

resource network 'Microsoft.Network/virtualNetworks@2025-01-01' = {
  name: 'vnet-${token}'
  location: location
  tags: tags
  properties: {
    addressSpace: { addressPrefixes: [addressPrefix] }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 24, 0)
          // What Flex Consumption asks for; the provider Microsoft.App must be registered.
          delegations: [{ name: 'flex', properties: { serviceName: 'Microsoft.App/environments' } }]
        }
      }
      {
        name: 'endpoints'
        properties: { addressPrefix: cidrSubnet(addressPrefix, 24, 1), privateEndpointNetworkPolicies: 'Disabled' }
      }
    ]
  }

  resource appSubnet 'subnets' existing = { name: 'app' }
  resource endpointSubnet 'subnets' existing = { name: 'endpoints' }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for service in services: {
    name: 'privatelink.${service}.${environment().suffixes.storage}'
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (service, i) in services: {
    parent: zones[i]
    name: 'vnet-${token}'
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: { id: network.id }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-01-01' = [
  for i in endpoints: {
    name: 'pe-${accounts[i / 2].name}-${services[i % 2]}'
    location: location
    tags: tags
    properties: {
      subnet: { id: network::endpointSubnet.id }
      privateLinkServiceConnections: [
        {
          name: services[i % 2]
          properties: { privateLinkServiceId: accounts[i / 2].id, groupIds: [services[i % 2]] }
        }
      ]
    }
  }
]

resource names 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-01-01' = [
  for i in endpoints: {
    parent: privateEndpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [{ name: services[i % 2], properties: { privateDnsZoneId: zones[i % 2].id } }]
    }
  }
]

output appSubnetId string = network::appSubnet.id
