# predown.sh for Windows: asks where images would go with the resource group, then removes the event subscriptions.
$ErrorActionPreference = 'Stop'

if (-not (Get-Command az -ErrorAction SilentlyContinue)) { throw 'missing: az (https://aka.ms/install-az), signed in: az login' }
if (-not $env:APP_NAME) { throw 'APP_NAME is not set: run azd provision first' }

if ($env:STORAGE_RESOURCE_GROUP -eq $env:APP_RESOURCE_GROUP) {
    Write-Warning "azd down deletes the resource group $env:APP_RESOURCE_GROUP, and with it $env:STORAGE_ACCOUNT and ALL OF ITS IMAGES."
    if ($env:CONFIRM_DOWN -ne $env:STORAGE_ACCOUNT) {
        if ([Console]::IsInputRedirected) { throw "Set CONFIRM_DOWN=$env:STORAGE_ACCOUNT if this is meant." }
        if ((Read-Host 'The name of the account, if this is meant') -ne $env:STORAGE_ACCOUNT) { throw 'Nothing was removed.' }
    }
}
else {
    Write-Output "On $env:STORAGE_ACCOUNT stay: tables $env:COUNTS_TABLE and ${env:COUNTS_TABLE}inbox, containers $env:QUARANTINE_CONTAINER and $env:DEAD_LETTER_CONTAINER, roles."
}

foreach ($name in $env:EVENT_SUBSCRIPTION, "$env:EVENT_SUBSCRIPTION-moves") {
    $target = az eventgrid system-topic event-subscription show --resource-group $env:TOPIC_RESOURCE_GROUP `
        --system-topic-name $env:TOPIC_NAME --name $name --output tsv `
        --query 'destination.resourceId || destination.endpointType' 2>$null
    if ($target -like "*/sites/$env:APP_NAME/functions/*") {
        Write-Output "removing the event subscription $name"
        az eventgrid system-topic event-subscription delete --yes --resource-group $env:TOPIC_RESOURCE_GROUP `
            --system-topic-name $env:TOPIC_NAME --name $name --output none
        if ($LASTEXITCODE -ne 0) { throw "$name could not be removed" }
    }
}
