# predown.sh for Windows: says what goes and what stays, asks, then removes the event subscriptions.
$ErrorActionPreference = 'Stop'
. $PSScriptRoot/azure.ps1

if ($env:STORAGE_RESOURCE_GROUP -eq $env:APP_RESOURCE_GROUP) {
    Write-Warning "azd down deletes the resource group $env:APP_RESOURCE_GROUP, and with it $env:STORAGE_ACCOUNT and ALL OF ITS IMAGES."
}
else {
    Write-Warning "azd down deletes the resource group $env:APP_RESOURCE_GROUP. It must not name $env:STORAGE_RESOURCE_GROUP, which holds $env:STORAGE_ACCOUNT and all of its images: stop it if it does."
    Write-Warning "In $env:STORAGE_RESOURCE_GROUP stay: tables $env:COUNTS_TABLE and ${env:COUNTS_TABLE}inbox, containers $env:QUARANTINE_CONTAINER and $env:DEAD_LETTER_CONTAINER, role assignments. The system topic $env:TOPIC_NAME stays in $env:TOPIC_RESOURCE_GROUP, with its diagnostic setting blob-status if it was made here."
}
if ($env:CONFIRM_DOWN -ne $env:STORAGE_ACCOUNT) {
    if ([Console]::IsInputRedirected) { throw "Set CONFIRM_DOWN=$env:STORAGE_ACCOUNT if this is meant." }
    if ((Read-Host 'The name of the storage account, if this is meant') -ne $env:STORAGE_ACCOUNT) { throw 'Nothing was removed.' }
}

foreach ($name in $env:EVENT_SUBSCRIPTION, "$env:EVENT_SUBSCRIPTION-moves") {
    if ((Get-Target $name) -like "*/sites/$env:APP_NAME/functions/*") {
        Write-Output "removing the event subscription $name"
        az eventgrid system-topic event-subscription delete --yes --subscription $env:AZURE_SUBSCRIPTION_ID `
            --resource-group $env:TOPIC_RESOURCE_GROUP --system-topic-name $env:TOPIC_NAME --name $name --output none
        if ($LASTEXITCODE -ne 0) { throw "$name could not be removed" }
    }
}
