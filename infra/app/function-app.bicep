// The plan and the app. On Flex Consumption runtime, scale and deployment are functionAppConfig; settings such as
// FUNCTIONS_WORKER_RUNTIME or WEBSITE_RUN_FROM_PACKAGE are refused there.
param name string
param planName string
param location string
param tags { *: string }
param identityId string
param identityClientId string
param hostStorageName string
param deploymentContainerUrl string
param monitoringConnectionString string
param httpConcurrency int
param alwaysReadyHttp int
param alwaysReadyEvents int
param maximumInstanceCount int
param instanceMemoryMB int
param siteUpdateStrategy string

@description('Whose tokens App Service Authentication asks for; empty: it is off.')
param authenticationClientId string

@description('Who issues them; empty: this tenant.')
param authenticationIssuer string

param clientCertRequired bool

@description('Subnet of the instances; empty: none.')
param subnetId string

@description('The app\'s own settings.')
param settings { *: string }

// Event Grid has neither a token nor a certificate, and is refused without this; its deliveries bring a key of the host.
// Of certificates whatever begins like these is excluded, of authentication these paths themselves.
var openPaths = ['/runtime/webhooks/EventGrid', '/api/health']

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true // Linux
  }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'app' }) // how azd finds it: nothing else may have this tag
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    ...(clientCertRequired
      ? {
          clientCertEnabled: true
          clientCertMode: 'Required'
          clientCertExclusionPaths: join(openPaths, ';')
        }
      : {})
    functionAppConfig: {
      runtime: {
        name: 'python'
        version: '3.13'
      }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: deploymentContainerUrl
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      // Bicep's types do not know it yet: https://learn.microsoft.com/azure/azure-functions/flex-consumption-site-updates
      #disable-next-line BCP037
      siteUpdateStrategy: { type: siteUpdateStrategy }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        triggers: {
          http: { perInstanceConcurrency: httpConcurrency }
        }
        alwaysReady: concat(
          alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : [],
          alwaysReadyEvents > 0 ? [{ name: 'function:on_blob_event', instanceCount: alwaysReadyEvents }] : []
        )
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, {
    AzureWebJobsStorage__accountName: hostStorageName
    AzureWebJobsStorage__credential: 'managedidentity'
    AzureWebJobsStorage__clientId: identityClientId
    APPLICATIONINSIGHTS_CONNECTION_STRING: monitoringConnectionString
    APPLICATIONINSIGHTS_CLIENT_ID: identityClientId
    APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
    // Of the app's own spans, two an event, one in a hundred is kept: read by the OpenTelemetry SDK.
    OTEL_TRACES_SAMPLER: 'traceidratio'
    OTEL_TRACES_SAMPLER_ARG: '0.01'
  })
}

// Two resources, not a loop: only with a literal name does the compiler check the properties. One after the other, as
// two writes to a site at a time end in a conflict.
resource noFtpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  dependsOn: [appSettings]
  properties: { allow: false }
}

resource noScmPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  dependsOn: [noFtpPassword]
  properties: { allow: false }
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = if (!empty(authenticationClientId)) {
  parent: app
  name: 'authsettingsV2'
  dependsOn: [noScmPassword]
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'Return401' // a phone cannot follow a redirect to a page of login
      excludedPaths: openPaths
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: authenticationClientId
          openIdIssuer: empty(authenticationIssuer)
            ? '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
            : authenticationIssuer
        }
        validation: { allowedAudiences: [authenticationClientId, 'api://${authenticationClientId}'] }
      }
    }
  }
}

output url string = 'https://${app.properties.defaultHostName}'
