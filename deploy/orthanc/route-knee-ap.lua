-- Orthanc routing rule: radiographs that may show a knee go to the modality "strnet".
--
-- Declare in Orthanc's configuration:
--   "LuaScripts" : [ "/etc/orthanc/route-knee-ap.lua" ],
--   "DicomModalities" : { "strnet" : [ "STRNET", "gateway.example", 11112 ] }
--
-- The rule is wider than "knee AP" on purpose: the gateway decides by view, age and side, and records why an instance
-- is not assessed. What never leaves Orthanc here is never recorded there.
-- The send is an asynchronous job of Orthanc: storing is not slowed down, and a failed job stays visible under /jobs,
-- where it can be resubmitted. Orthanc does not resubmit it by itself.

local DESTINATION = 'strnet'

local MODALITIES = { DX = true, CR = true }

local OWN_MODEL_NAME = 'strnet-gateway'

-- lower case; searched in BodyPartExamined and in the descriptions
local KNEE_TEXTS = { 'knee', 'genou', 'knie', '膝' }

local SEARCHED = {
  'BodyPartExamined', 'SeriesDescription', 'StudyDescription', 'ProtocolName',
  'PerformedProcedureStepDescription', 'RequestedProcedureDescription', 'AcquisitionDeviceProcessingDescription'
}

local function text(tags, keyword)
  local value = tags[keyword]
  if type(value) ~= 'string' then
    return ''
  end
  return value
end

local function isOwnResult(tags)
  return text(tags, 'ManufacturerModelName') == OWN_MODEL_NAME
end

local function mayShowAKnee(tags)
  for _, keyword in ipairs(SEARCHED) do
    local value = string.lower(text(tags, keyword))
    for _, word in ipairs(KNEE_TEXTS) do
      if string.find(value, word, 1, true) then
        return true
      end
    end
  end
  return false
end

function OnStoredInstance(instanceId, tags, metadata, origin)
  if not MODALITIES[text(tags, 'Modality')] or isOwnResult(tags) or not mayShowAKnee(tags) then
    return
  end
  local job = { Resources = { instanceId }, Synchronous = false }
  RestApiPost('/modalities/' .. DESTINATION .. '/store', DumpJson(job, true))
end
