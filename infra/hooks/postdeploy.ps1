# postdeploy.sh for Windows: the event subscriptions, the first reconciliation, wait until counts are served.
$ErrorActionPreference = 'Stop'
$waitSeconds = if ($env:WAIT_SECONDS) { [int]$env:WAIT_SECONDS } else { 1800 }

. $PSScriptRoot/azure.ps1

Write-Output "waiting for the functions of $env:APP_NAME"
for ($tries = 0; ; $tries++) {
    $said = az functionapp function show --subscription $env:AZURE_SUBSCRIPTION_ID `
        --resource-group $env:APP_RESOURCE_GROUP --name $env:APP_NAME --function-name on_blob_event --output none 2>&1
    if ($LASTEXITCODE -eq 0) { break }
    if ($tries -ge 30) { throw "$said`non_blob_event is not there after 5 minutes: did the app start? See its log" }
    Start-Sleep -Seconds 10
}

foreach ($name in $env:EVENT_SUBSCRIPTION, "$env:EVENT_SUBSCRIPTION-moves") {
    $target = Get-Target $name
    if ($target -and $target -notlike "*/sites/$env:APP_NAME/functions/*") {
        throw "$name delivers to $target, not to $env:APP_NAME`: it is somebody else's. Delete it, or take another environment"
    }
}

Write-Output "subscribing to the blob events of $env:STORAGE_ACCOUNT"
# Event Grid tries whether it may write dead letters, and a new role takes minutes to arrive.
for ($tries = 1; ; $tries++) {
    az deployment group create --output none `
        --subscription $env:AZURE_SUBSCRIPTION_ID `
        --name $env:EVENT_SUBSCRIPTION `
        --resource-group $env:TOPIC_RESOURCE_GROUP `
        --parameters (Join-Path $PSScriptRoot '../events.bicepparam')
    if ($LASTEXITCODE -eq 0) { break }
    if ($tries -ge 20) { throw 'the event subscriptions could not be made in 10 minutes' }
    Write-Warning 'trying again in 30 s: the role on the dead letters may be on its way'
    Start-Sleep -Seconds 30
}

function Start-Reconciliation {
    $key = az functionapp keys list --subscription $env:AZURE_SUBSCRIPTION_ID --resource-group $env:APP_RESOURCE_GROUP --name $env:APP_NAME --query masterKey --output tsv
    try {
        Invoke-WebRequest -Method Post -Uri "$env:APP_URL/admin/functions/reconcile" -TimeoutSec 60 `
            -Headers @{ 'x-functions-key' = $key } -ContentType 'application/json' -Body '{}' | Out-Null
    }
    catch {
        Write-Warning 'the reconciliation could not be started; trying again (the timer starts it too)'
    }
}

Write-Output 'starting the first reconciliation'
$began = Get-Date
$asked = [datetime]::MinValue
while ($true) {
    # Else: not ready, degraded, or an error as long as new roles are on their way.
    try { $health = (Invoke-RestMethod -Uri "$env:APP_URL/api/health" -TimeoutSec 60 -SkipHttpErrorCheck).status } catch { $health = '' }
    if ($health -eq 'ok') { break }
    if (((Get-Date) - $began).TotalSeconds -ge $waitSeconds) {
        throw "not ready after $waitSeconds s (health: $health). Counting a large account takes longer and goes on by itself; anything else is in the app's log"
    }
    if (((Get-Date) - $asked).TotalSeconds -ge 120) { # asking twice is safe: one runs, the other steps back
        Start-Reconciliation
        $asked = Get-Date
    }
    Start-Sleep -Seconds 5
}
Write-Output "ready: $env:APP_URL/api/cases/storage/status"
