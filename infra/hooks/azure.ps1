# azure.sh for Windows: az is there and signed in to the environment's subscription.
if (-not (Get-Command az -ErrorAction SilentlyContinue)) { throw 'missing: az (https://aka.ms/install-az), signed in: az login' }
if (-not $env:APP_NAME) { throw 'APP_NAME is not set: run azd provision first' }
az account show --subscription $env:AZURE_SUBSCRIPTION_ID --output none
if ($LASTEXITCODE -ne 0) { throw "az cannot use the subscription $env:AZURE_SUBSCRIPTION_ID" }

# Returns where an event subscription delivers, and nothing if there is none.
function Get-Target($name) {
    $said = az eventgrid system-topic event-subscription show --subscription $env:AZURE_SUBSCRIPTION_ID `
        --resource-group $env:TOPIC_RESOURCE_GROUP --system-topic-name $env:TOPIC_NAME --name $name --only-show-errors `
        --query 'destination.resourceId || destination.endpointType' --output tsv 2>&1
    if ($LASTEXITCODE -eq 0) { return "$said" }
    if ($LASTEXITCODE -ne 3 -and "$said" -notmatch '\((|Resource|ResourceGroup)NotFound\)') { throw "$said" }
}
